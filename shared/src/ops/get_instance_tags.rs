//! Read a worker's tags.

use crate::aws::beside::beside;
use crate::aws::clients::Clients;
use crate::aws::filters::filter;
use crate::aws::instances::find;
use crate::error::Error;
use crate::model::instance_tags::InstanceTags;
use crate::model::operation::{Call, Callers, Operation, Route};
use crate::model::path::InstancePath;
use crate::model::request::Request;
use crate::model::tags::{TagMap, tag_map};

/// The row of this operation in the table of all operations.
pub const OPERATION: Operation = Operation {
    name: "get-instance-tags",
    routes: &[Route {
        method: "GET",
        path: "/regions/{region}/instances/{instance_id}/tags",
        summary: "Read an instance's tags.",
        takes: "",
        answers: "`tags`",
    }],
    callers: Callers::Reader,
    actions: &["ec2:DescribeInstances", "ec2:DescribeTags"],
    purpose: "tells a missing instance from one without tags, and reads the tags at the same time",
    calls: &[Call::read("ec2:DescribeInstances"), Call::read("ec2:DescribeTags")],
};

/// Reads the tags of an instance, managed or not.
///
/// The instance is read too, because DescribeTags answers an unknown one with an empty list.
///
/// AWS: ec2:DescribeInstances, ec2:DescribeTags.
///
/// # Errors
/// 404 for an unknown instance, and whatever EC2 refuses.
pub async fn get_instance_tags(clients: &Clients, worker: &InstancePath) -> Result<InstanceTags, Error> {
    let (instance, tags) = beside(find(clients, worker), read_tags(clients, worker)).await?;
    Ok(InstanceTags { instance_id: worker.instance_id.clone(), managed: instance.managed, tags: tags? })
}

async fn read_tags(clients: &Clients, worker: &InstancePath) -> Result<TagMap, Error> {
    let filter = filter("resource-id", worker.instance_id.as_str());
    let answer = clients.ec2(&worker.region)?.describe_tags().filters(filter).send().await?;
    Ok(tag_map(answer.tags.into_iter().flatten().map(|tag| (tag.key, tag.value))))
}

/// Handles one request of the function.
///
/// # Errors
/// The errors of the operation.
pub async fn handle(clients: &Clients, request: Request<InstancePath>) -> Result<InstanceTags, Error> {
    get_instance_tags(clients, &request.path).await
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::Client;
    use aws_smithy_mocks::mock;

    use super::*;
    use crate::error::Code;
    use crate::testing::{self, described, ec2_error, worker, xml};

    #[tokio::test]
    async fn tags_are_an_object() {
        let read = mock!(Client::describe_instances).then_http_response(|| described("running", false));
        let tags = mock!(Client::describe_tags)
            .match_requests(|r| r.filters()[0].values() == [testing::ID])
            .then_http_response(|| {
                xml(200, "<DescribeTagsResponse><tagSet><item><key>Lab</key><value>a</value></item><item><key>empty</key><value/></item></tagSet></DescribeTagsResponse>")
            });
        let answer = get_instance_tags(&testing::clients(&[&read, &tags]), &worker()).await.unwrap();
        let expected =
            serde_json::json!({"instance_id": testing::ID, "managed": false, "tags": {"Lab": "a", "empty": ""}});
        assert_eq!(serde_json::to_value(answer).unwrap(), expected);
    }

    #[tokio::test]
    async fn a_missing_instance_is_a_404_and_not_an_empty_set() {
        let read =
            mock!(Client::describe_instances).then_http_response(|| ec2_error(400, "InvalidInstanceID.NotFound", ""));
        let error = get_instance_tags(&testing::clients(&[&read]), &worker()).await.unwrap_err();
        assert_eq!(error.code, Code::InstanceNotFound);
    }

    #[tokio::test]
    async fn of_two_denied_reads_the_instances_is_named() {
        let denied = || ec2_error(403, "UnauthorizedOperation", "You are not authorized.");
        let tags = mock!(Client::describe_tags).then_http_response(denied);
        let read = mock!(Client::describe_instances).then_http_response(denied);
        let error = get_instance_tags(&testing::clients(&[&read, &tags]), &worker()).await.unwrap_err();
        assert_eq!(error.missing_permission(), Some("ec2:DescribeInstances"));
    }
}
