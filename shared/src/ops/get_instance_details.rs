//! Read one worker.

use crate::aws::clients::Clients;
use crate::aws::instances::find;
use crate::error::Error;
use crate::input::Invalid;
use crate::model::field_selection::{Fields, Narrowed};
use crate::model::operation::{Call, Callers, Operation, Route};
use crate::model::path::InstancePath;
use crate::model::request::Request;

/// The row of this operation in the table of all operations.
pub const OPERATION: Operation = Operation {
    name: "get-instance-details",
    routes: &[Route {
        method: "GET",
        path: "/regions/{region}/instances/{instance_id}",
        summary: "Read one instance.",
        takes: "`fields`",
        answers: "instance",
    }],
    callers: Callers::Reader,
    actions: &["ec2:DescribeInstances"],
    purpose: "the instance",
    calls: &[Call::read("ec2:DescribeInstances")],
};

/// The query: `?fields=state,public_ip`.
#[derive(Debug, Clone, Default, deserr::Deserr)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[deserr(error = Invalid, deny_unknown_fields)]
pub struct DetailsQuery {
    /// The fields of the instance to show.
    #[deserr(default)]
    pub fields: Fields,
}

/// Reads an instance, managed or not.
///
/// AWS: ec2:DescribeInstances.
///
/// # Errors
/// 404 for an unknown instance, and whatever EC2 refuses.
pub async fn get_instance_details(
    clients: &Clients,
    worker: &InstancePath,
    query: &DetailsQuery,
) -> Result<Narrowed, Error> {
    Ok(query.fields.of(find(clients, worker).await?))
}

/// Handles one request of the function.
///
/// # Errors
/// The errors of the operation.
pub async fn handle(clients: &Clients, request: Request<InstancePath, DetailsQuery>) -> Result<Narrowed, Error> {
    get_instance_details(clients, &request.path, &request.query).await
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::Client;
    use aws_smithy_mocks::mock;

    use super::*;
    use crate::error::Code;
    use crate::testing::{self, described, ec2_error, worker, xml};

    #[tokio::test]
    async fn ec2s_instance_becomes_the_document() {
        let read = mock!(Client::describe_instances).then_http_response(|| described("stopped", true));
        let instance =
            get_instance_details(&testing::clients(&[&read]), &worker(), &DetailsQuery::default()).await.unwrap();
        let mut document = serde_json::to_value(instance).unwrap();
        assert!(document["age_seconds"].take().is_u64());
        let expected = serde_json::json!({
            "instance_id": testing::ID, "region": "us-east-1", "name": "cml-1", "state": "stopped",
            "state_reason": "Client.UserInitiatedShutdown: User initiated shutdown", "instance_type": "c5.2xlarge",
            "image_id": "ami-0123456789abcdef0", "image_name": null, "launch_time": "2026-01-02T03:04:05Z", "age_seconds": null,
            "public_ip": null, "private_ip": "10.0.0.4", "availability_zone": "us-east-1a", "vpc_id": "vpc-0123456789abcdef0",
            "subnet_id": "subnet-0123456789abcdef0", "security_group_ids": ["sg-0123456789abcdef0"], "key_name": "cml-workers",
            "iam_instance_profile_arn": null, "detailed_monitoring": true, "lifecycle": "on-demand", "managed": true,
            "tags": {"ManagedBy": "cml-cloud-manager", "Name": "cml-1"},
        });
        assert_eq!(document, expected);
    }

    #[tokio::test]
    async fn the_answer_has_the_fields_that_were_asked_for() {
        let read = mock!(Client::describe_instances).then_http_response(|| described("stopped", true));
        let query = deserr::deserialize::<_, _, Invalid>(serde_json::json!({"fields": "state,key_name"})).unwrap();
        let instance = get_instance_details(&testing::clients(&[&read]), &worker(), &query).await.unwrap();
        let expected = serde_json::json!({"instance_id": testing::ID, "state": "stopped", "key_name": "cml-workers"});
        assert_eq!(serde_json::to_value(instance).unwrap(), expected);
    }

    #[tokio::test]
    async fn an_unknown_instance_is_a_404_however_ec2_says_it() {
        let error = mock!(Client::describe_instances)
            .then_http_response(|| ec2_error(400, "InvalidInstanceID.NotFound", "The instance ID does not exist"));
        let empty = mock!(Client::describe_instances).then_http_response(|| {
            xml(200, "<DescribeInstancesResponse><reservationSet/></DescribeInstancesResponse>")
        });
        for rule in [error, empty] {
            let error = get_instance_details(&testing::clients(&[&rule]), &worker(), &DetailsQuery::default())
                .await
                .unwrap_err();
            assert_eq!(error.code, Code::InstanceNotFound);
        }
    }

    #[tokio::test]
    async fn another_region_is_refused_before_ec2_is_asked() {
        let read = mock!(Client::describe_instances).then_http_response(|| described("stopped", true));
        let elsewhere = InstancePath {
            region: crate::model::region::Region::try_from("eu-west-1".to_owned()).unwrap(),
            ..worker()
        };
        let error =
            get_instance_details(&testing::clients(&[&read]), &elsewhere, &DetailsQuery::default()).await.unwrap_err();
        assert_eq!((error.code, read.num_calls()), (Code::RegionNotAllowed, 0));
    }
}
