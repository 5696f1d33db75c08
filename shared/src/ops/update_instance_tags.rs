//! Set tags on a worker.

use crate::aws::clients::Clients;
use crate::aws::dry_run::permitted;
use crate::aws::instances::find_managed;
use crate::error::Error;
use crate::input::{Invalid, Refusal};
use crate::model::instance_tags::InstanceTags;
use crate::model::mutation::{DryRun, Mutation};
use crate::model::operation::{Call, Callers, Operation, Route};
use crate::model::path::InstancePath;
use crate::model::request::Request;
use crate::model::tags::NewTags;

/// The row of this operation in the table of all operations.
pub const OPERATION: Operation = Operation {
    name: "update-instance-tags",
    routes: &[Route {
        method: "PATCH",
        path: "/regions/{region}/instances/{instance_id}/tags",
        summary: "Set tags on a worker.",
        takes: "body `{\"tags\":{…}}`; `dry_run`",
        answers: "the whole resulting set",
    }],
    callers: Callers::Operator,
    actions: &["ec2:DescribeInstances", "ec2:CreateTags"],
    purpose: "reads owner and tags, then writes the new ones",
    calls: &[Call::read("ec2:DescribeInstances"), Call::change("ec2:CreateTags")],
};

/// The body: `{"tags": {"key": "value"}}`.
#[derive(Debug, Clone, deserr::Deserr)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[deserr(error = Invalid, deny_unknown_fields)]
pub struct TagUpdate {
    /// The tags to set; other tags stay as they are.
    #[deserr(try_from(NewTags) = NewTags::at_least_one -> Refusal)]
    pub tags: NewTags,
}

/// Sets tags and answers the whole resulting set: the tags that were read, and the changes that EC2 has confirmed.
///
/// AWS: ec2:DescribeInstances, ec2:CreateTags.
///
/// # Errors
/// 400 for a key that is not allowed, 404 for an unknown instance, 403 for one that is not managed, and whatever EC2 refuses.
pub async fn update_instance_tags(
    clients: &Clients,
    worker: &InstancePath,
    update: &TagUpdate,
    dry_run: bool,
) -> Result<Mutation<InstanceTags>, Error> {
    clients.config().limits.check_tags(update.tags.0.keys(), |_, key| format!("tags.{key}"))?;
    let instance = find_managed(clients, worker).await?;
    let call = clients.ec2(&worker.region)?.create_tags().resources(worker.instance_id.as_str());
    let call = call.set_tags(Some(update.tags.to_ec2().collect()));
    if dry_run {
        return permitted(call.dry_run(true).send().await);
    }
    call.send().await?;
    let mut tags = instance.tags;
    tags.extend(update.tags.0.iter().map(|(key, value)| (key.to_string(), value.to_string())));
    Ok(Mutation::Done(InstanceTags { instance_id: worker.instance_id.clone(), managed: true, tags }))
}

/// Handles one request of the function.
///
/// # Errors
/// The errors of the operation.
pub async fn handle(
    clients: &Clients,
    request: Request<InstancePath, DryRun, TagUpdate>,
) -> Result<Mutation<InstanceTags>, Error> {
    update_instance_tags(clients, &request.path, &request.body, request.query.dry_run).await
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::Client;
    use aws_smithy_mocks::mock;

    use super::*;
    use crate::error::Code;
    use crate::model::tags::tag;
    use crate::testing::{self, described, tags_changed, worker};

    fn update(json: serde_json::Value) -> Result<TagUpdate, Invalid> {
        deserr::deserialize(json)
    }

    #[tokio::test]
    async fn the_answer_is_the_whole_resulting_set() {
        let read = mock!(Client::describe_instances).then_http_response(|| described("running", true));
        let create = mock!(Client::create_tags)
            .match_requests(|r| r.resources() == [testing::ID] && r.tags() == [tag("Lab", "a"), tag("Name", "new")])
            .then_http_response(|| tags_changed("CreateTags"));
        let update = update(serde_json::json!({"tags": {"Name": "new", "Lab": "a"}})).unwrap();
        let answer =
            update_instance_tags(&testing::clients(&[&read, &create]), &worker(), &update, false).await.unwrap();
        let tags = serde_json::json!({"Name": "new", "Lab": "a", "ManagedBy": "cml-cloud-manager"});
        assert_eq!(serde_json::to_value(answer).unwrap()["tags"], tags);
    }

    #[tokio::test]
    async fn an_instance_that_is_not_ours_is_left_alone() {
        let read = mock!(Client::describe_instances).then_http_response(|| described("running", false));
        let create = mock!(Client::create_tags).then_http_response(|| tags_changed("CreateTags"));
        let update = update(serde_json::json!({"tags": {"Lab": "a"}})).unwrap();
        let error =
            update_instance_tags(&testing::clients(&[&read, &create]), &worker(), &update, false).await.unwrap_err();
        assert_eq!((error.code, create.num_calls()), (Code::NotManaged, 0));
    }

    #[test]
    fn no_tags_and_reserved_tags_are_refused() {
        for (body, field) in [
            (serde_json::json!({}), "tags"),
            (serde_json::json!({"tags": {}}), "tags"),
            (serde_json::json!({"tags": {"ManagedBy": "me"}}), "tags.ManagedBy"),
            (serde_json::json!({"tags": {"aws:x": "y"}}), "tags.aws:x"),
            (serde_json::json!({"tags": {"a": null}}), "tags.a"),
        ] {
            assert_eq!(update(body).unwrap_err().errors()[0].field, field);
        }
    }
}
