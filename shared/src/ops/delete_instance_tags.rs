//! Remove tags from a worker.

use aws_sdk_ec2::types::Tag;

use crate::aws::clients::Clients;
use crate::aws::dry_run::permitted;
use crate::aws::instances::find_managed;
use crate::error::Error;
use crate::input::{Invalid, Refusal, Repeated, boolean};
use crate::model::instance_tags::InstanceTags;
use crate::model::mutation::Mutation;
use crate::model::operation::{Call, Callers, Operation, Route};
use crate::model::path::InstancePath;
use crate::model::request::Request;
use crate::model::tags::{MAX_TAGS, TagKey};

/// The row of this operation in the table of all operations.
pub const OPERATION: Operation = Operation {
    name: "delete-instance-tags",
    routes: &[Route {
        method: "DELETE",
        path: "/regions/{region}/instances/{instance_id}/tags",
        summary: "Remove tags from a worker.",
        takes: "`key`, repeated; `dry_run`",
        answers: "the whole resulting set",
    }],
    callers: Callers::Operator,
    actions: &["ec2:DescribeInstances", "ec2:DeleteTags"],
    purpose: "reads owner and tags, then removes the named ones",
    calls: &[Call::read("ec2:DescribeInstances"), Call::change("ec2:DeleteTags")],
};

/// The query: `?key=a&key=b`, and `dry_run`.
#[derive(Debug, Clone, deserr::Deserr)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[deserr(error = Invalid, deny_unknown_fields)]
pub struct TagKeys {
    /// The keys to remove. At least one is required, because DeleteTags without keys removes every tag.
    #[deserr(try_from(Repeated<TagKey>) = at_least_one -> Refusal)]
    #[cfg_attr(feature = "openapi", schema(min_items = 1, max_items = 50))]
    pub key: Vec<TagKey>,
    /// Ask EC2 for permission and change nothing.
    #[deserr(default, try_from(String) = boolean -> Refusal)]
    pub dry_run: bool,
}

fn at_least_one(keys: Repeated<TagKey>) -> Result<Vec<TagKey>, Refusal> {
    match keys.0.len() {
        1..=MAX_TAGS => Ok(keys.0),
        _ => Err(Refusal(format!("must be given 1 to {MAX_TAGS} times"))),
    }
}

/// Removes tags and answers the whole resulting set; a key that is not there is no error.
///
/// AWS: ec2:DescribeInstances, ec2:DeleteTags.
///
/// # Errors
/// 400 for a key that is not allowed, 404 for an unknown instance, 403 for one that is not managed, and whatever EC2 refuses.
pub async fn delete_instance_tags(
    clients: &Clients,
    worker: &InstancePath,
    keys: &[TagKey],
    dry_run: bool,
) -> Result<Mutation<InstanceTags>, Error> {
    // This is how deserr names a parameter that is given once, and one that is repeated.
    let field = |index| if keys.len() == 1 { "key".to_owned() } else { format!("key[{index}]") };
    clients.config().limits.check_tags(keys, |index, _| field(index))?;
    let instance = find_managed(clients, worker).await?;
    let call = clients.ec2(&worker.region)?.delete_tags().resources(worker.instance_id.as_str());
    // Without a value EC2 removes the tag whatever its value is.
    let call = call.set_tags(Some(keys.iter().map(|key| Tag::builder().key(key.as_str()).build()).collect()));
    if dry_run {
        return permitted(call.dry_run(true).send().await);
    }
    call.send().await?;
    let mut tags = instance.tags;
    tags.retain(|key, _| !keys.iter().any(|removed| removed.as_str() == key));
    Ok(Mutation::Done(InstanceTags { instance_id: worker.instance_id.clone(), managed: true, tags }))
}

/// Handles one request of the function.
///
/// # Errors
/// The errors of the operation.
pub async fn handle(
    clients: &Clients,
    request: Request<InstancePath, TagKeys>,
) -> Result<Mutation<InstanceTags>, Error> {
    delete_instance_tags(clients, &request.path, &request.query.key, request.query.dry_run).await
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::Client;
    use aws_smithy_mocks::mock;

    use super::*;
    use crate::error::Code;
    use crate::testing::{self, described, tags_changed, worker};

    fn keys(names: &[&str]) -> Vec<TagKey> {
        names.iter().map(|name| TagKey::try_from((*name).to_owned()).unwrap()).collect()
    }

    #[tokio::test]
    async fn only_named_tags_are_deleted_and_absent_ones_are_ignored() {
        let read = mock!(Client::describe_instances).then_http_response(|| described("running", true));
        let delete = mock!(Client::delete_tags)
            .match_requests(|r| {
                let sent: Vec<_> = r.tags().iter().map(|tag| (tag.key(), tag.value())).collect();
                r.resources() == [testing::ID] && sent == [(Some("Name"), None), (Some("absent"), None)]
            })
            .then_http_response(|| tags_changed("DeleteTags"));
        let clients = testing::clients(&[&read, &delete]);
        let answer = delete_instance_tags(&clients, &worker(), &keys(&["Name", "absent"]), false).await.unwrap();
        assert_eq!(
            serde_json::to_value(answer).unwrap()["tags"],
            serde_json::json!({"ManagedBy": "cml-cloud-manager"})
        );
    }

    #[tokio::test]
    async fn an_instance_that_is_not_ours_is_left_alone() {
        let read = mock!(Client::describe_instances).then_http_response(|| described("running", false));
        let delete = mock!(Client::delete_tags).then_http_response(|| tags_changed("DeleteTags"));
        let clients = testing::clients(&[&read, &delete]);
        let error = delete_instance_tags(&clients, &worker(), &keys(&["Name"]), false).await.unwrap_err();
        assert_eq!((error.code, delete.num_calls()), (Code::NotManaged, 0));
    }
}
