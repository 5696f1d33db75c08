//! Read a worker's CPU and memory utilization.

use crate::aws::clients::Clients;
use crate::aws::instances::find;
use crate::aws::metrics::measure;
use crate::error::Error;
use crate::model::operation::{Call, Callers, Operation, Route};
use crate::model::path::InstancePath;
use crate::model::request::Request;
use crate::model::utilization::{Utilization, UtilizationQuery};

/// The row of this operation in the table of all operations.
pub const OPERATION: Operation = Operation {
    name: "get-instance-resources-utilization",
    routes: &[Route {
        method: "GET",
        path: "/regions/{region}/instances/{instance_id}/utilization",
        summary: "Read an instance's CPU and memory.",
        takes: "`window`: `30s`, `1m` to `1440m`, `1h` to `24h`, default `5m`; `series`",
        answers: "`cpu`, `memory`",
    }],
    callers: Callers::Reader,
    actions: &["ec2:DescribeInstances", "cloudwatch:GetMetricStatistics"],
    purpose: "the instance, then its CPU and memory metrics",
    calls: &[Call::read("ec2:DescribeInstances"), Call::read("cloudwatch:GetMetricStatistics")],
};

/// Reads both metrics over a window that ends now.
///
/// The instance is read first: the period of its CPU metric depends on its monitoring, and CloudWatch finds its memory
/// metric only by its image and type, if the agent appends them.
///
/// AWS: ec2:DescribeInstances, cloudwatch:GetMetricStatistics.
///
/// # Errors
/// 404 for an unknown instance, and whatever EC2 or CloudWatch refuses.
pub async fn get_instance_resources_utilization(
    clients: &Clients,
    worker: &InstancePath,
    query: &UtilizationQuery,
) -> Result<Utilization, Error> {
    let instance = find(clients, worker).await?;
    measure(clients, worker, &instance, query, clients.now()).await
}

/// Handles one request of the function.
///
/// # Errors
/// The errors of the operation.
pub async fn handle(clients: &Clients, request: Request<InstancePath, UtilizationQuery>) -> Result<Utilization, Error> {
    get_instance_resources_utilization(clients, &request.path, &request.query).await
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use aws_sdk_cloudwatch::Client;
    use aws_sdk_cloudwatch::operation::get_metric_statistics::GetMetricStatisticsOutput;
    use aws_sdk_cloudwatch::types::Datapoint;
    use aws_smithy_mocks::mock;

    use super::*;
    use crate::error::Code;
    use crate::model::utilization::Cause;
    use crate::testing::{self, described, ec2_error, worker};

    fn point(average: f64) -> GetMetricStatisticsOutput {
        let point =
            Datapoint::builder().timestamp((SystemTime::now() - Duration::from_secs(60)).into()).sample_count(1.0);
        GetMetricStatisticsOutput::builder().datapoints(point.average(average).maximum(average).build()).build()
    }

    #[tokio::test]
    async fn both_metrics_are_read_and_missing_memory_is_not_zero() {
        let read = mock!(aws_sdk_ec2::Client::describe_instances).then_http_response(|| described("running", true));
        let cpu = mock!(Client::get_metric_statistics)
            .match_requests(|r| {
                r.namespace() == Some("AWS/EC2")
                    && r.dimensions()[0].value() == Some(testing::ID)
                    && r.period() == Some(60)
            })
            .then_output(|| point(0.0));
        let memory = mock!(Client::get_metric_statistics)
            .match_requests(|r| r.namespace() == Some("CWAgent") && r.metric_name() == Some("mem_used_percent"))
            .then_output(|| GetMetricStatisticsOutput::builder().build());
        let clients = testing::clients(&[&read, &cpu, &memory]);
        let answer =
            get_instance_resources_utilization(&clients, &worker(), &UtilizationQuery::default()).await.unwrap();
        assert_eq!((answer.cpu.available, answer.cpu.average), (true, Some(0.0)));
        assert_eq!((answer.memory.available, answer.memory.average), (false, None));
        // The described instance has no instance profile.
        assert_eq!((answer.cpu.cause, answer.memory.cause), (None, Some(Cause::NoPermission)));
        assert_eq!((answer.window.as_str(), answer.cpu.period_seconds), ("5m", 60));
    }

    #[tokio::test]
    async fn an_unknown_instance_is_a_404_and_no_empty_metric() {
        let read = mock!(aws_sdk_ec2::Client::describe_instances)
            .then_http_response(|| ec2_error(400, "InvalidInstanceID.NotFound", ""));
        let query = UtilizationQuery::default();
        let error = get_instance_resources_utilization(&testing::clients(&[&read]), &worker(), &query).await;
        assert_eq!(error.unwrap_err().code, Code::InstanceNotFound);
    }
}
