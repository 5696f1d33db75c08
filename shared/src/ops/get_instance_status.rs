//! Read a worker's status checks.

use crate::aws::beside::beside;
use crate::aws::clients::Clients;
use crate::aws::instances::find;
use crate::aws::statuses::read_status;
use crate::error::Error;
use crate::model::operation::{Call, Callers, Operation, Route};
use crate::model::path::InstancePath;
use crate::model::request::Request;
use crate::model::status::InstanceStatus;

/// The row of this operation in the table of all operations.
pub const OPERATION: Operation = Operation {
    name: "get-instance-status",
    routes: &[Route {
        method: "GET",
        path: "/regions/{region}/instances/{instance_id}/status",
        summary: "Read an instance's status checks.",
        takes: "",
        answers: "status checks, `healthy`",
    }],
    callers: Callers::Reader,
    actions: &["ec2:DescribeInstances", "ec2:DescribeInstanceStatus"],
    purpose: "the instance, and at the same time its status checks and scheduled events",
    calls: &[Call::read("ec2:DescribeInstances"), Call::read("ec2:DescribeInstanceStatus")],
};

/// Reads the status checks of an instance in any state.
///
/// AWS: ec2:DescribeInstances, ec2:DescribeInstanceStatus.
///
/// # Errors
/// 404 for an unknown instance, and whatever EC2 refuses.
pub async fn get_instance_status(clients: &Clients, worker: &InstancePath) -> Result<InstanceStatus, Error> {
    let (instance, status) = beside(find(clients, worker), read_status(clients, worker)).await?;
    Ok(InstanceStatus::from_ec2(worker.instance_id.clone(), &instance, status?.as_ref()))
}

/// Handles one request of the function.
///
/// # Errors
/// The errors of the operation.
pub async fn handle(clients: &Clients, request: Request<InstancePath>) -> Result<InstanceStatus, Error> {
    get_instance_status(clients, &request.path).await
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::Client;
    use aws_smithy_mocks::mock;

    use super::*;
    use crate::testing::{self, described, ec2_error, worker, xml};

    async fn status(state: &'static str, items: &'static str) -> serde_json::Value {
        let read = mock!(Client::describe_instances).then_http_response(move || described(state, true));
        let status = mock!(Client::describe_instance_status)
            .match_requests(|r| r.include_all_instances() == Some(true))
            .then_http_response(move || {
                xml(200, format!("<DescribeInstanceStatusResponse><instanceStatusSet>{items}</instanceStatusSet></DescribeInstanceStatusResponse>"))
            });
        let answer = get_instance_status(&testing::clients(&[&read, &status]), &worker()).await.unwrap();
        serde_json::to_value(answer).unwrap()
    }

    const IMPAIRED: &str = "<item><instanceId>i-0123456789abcdef0</instanceId><instanceState><name>running</name></instanceState>\
        <eventsSet><item><code>instance-retirement</code><description>degraded hardware</description><notBefore>2026-02-01T00:00:00.000Z</notBefore></item></eventsSet>\
        <systemStatus><status>ok</status></systemStatus><instanceStatus><status>impaired</status>\
        <details><item><name>reachability</name><status>failed</status><impairedSince>2026-01-05T00:00:00.000Z</impairedSince></item></details></instanceStatus>\
        <attachedEbsStatus><status>impaired</status><details><item><name>reachability</name><status>failed</status>\
        <impairedSince>2026-01-04T00:00:00.000Z</impairedSince></item></details></attachedEbsStatus></item>";
    const GOOD: &str = "<item><instanceId>i-0123456789abcdef0</instanceId><systemStatus><status>ok</status></systemStatus>\
        <instanceStatus><status>ok</status></instanceStatus></item>";

    #[tokio::test]
    async fn an_impaired_worker_says_since_when_and_what_aws_plans() {
        let status = status("running", IMPAIRED).await;
        assert_eq!(
            (&status["instance_status_check"], &status["system_status_check"], &status["ebs_status_check"]),
            (&"impaired".into(), &"ok".into(), &"impaired".into())
        );
        assert_eq!(status["impaired_since"], "2026-01-04T00:00:00Z");
        assert_eq!(status["scheduled_events"][0]["code"], "instance-retirement");
        assert_eq!((&status["healthy"], &status["monitoring_state"]), (&false.into(), &"enabled".into()));
    }

    #[tokio::test]
    async fn healthy_means_running_with_good_checks() {
        assert_eq!(status("running", GOOD).await["healthy"], true);
        assert_eq!(status("stopped", GOOD).await["healthy"], false);
    }

    #[tokio::test]
    async fn of_two_denied_reads_the_instances_is_named() {
        let denied = || ec2_error(403, "UnauthorizedOperation", "You are not authorized.");
        let status = mock!(Client::describe_instance_status).then_http_response(denied);
        let found = mock!(Client::describe_instances).then_http_response(|| described("running", true));
        let hidden = mock!(Client::describe_instances).then_http_response(denied);
        for (read, action) in [(&found, "ec2:DescribeInstanceStatus"), (&hidden, "ec2:DescribeInstances")] {
            let answer = get_instance_status(&testing::clients(&[read, &status]), &worker()).await;
            assert_eq!(answer.unwrap_err().missing_permission(), Some(action));
        }
    }

    #[tokio::test]
    async fn checks_that_ec2_does_not_report_are_null() {
        let status = status("pending", "").await;
        assert_eq!((&status["state"], &status["healthy"]), (&"pending".into(), &false.into()));
        assert!(status["instance_status_check"].is_null() && status["impaired_since"].is_null());
    }
}
