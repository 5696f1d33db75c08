//! Read a worker's CPU and memory utilization.

use std::time::SystemTime;

use crate::clients::Clients;
use crate::error::Error;
use crate::instance::{Worker, find};
use crate::utilization::{self, Span, Utilization, Window};

/// Reads both metrics over a window that ends now.
///
/// AWS: ec2:DescribeInstances, cloudwatch:GetMetricStatistics.
///
/// # Errors
/// 404 for an unknown instance, and whatever EC2 or CloudWatch refuses.
pub async fn get_instance_resources_utilization(
    clients: &Clients,
    worker: &Worker,
    window: Window,
) -> Result<Utilization, Error> {
    let instance = find(clients, worker).await?;
    let span = Span::new(window, instance.detailed_monitoring, SystemTime::now());
    let (cpu, memory) = tokio::try_join!(
        utilization::read(clients, worker, span, utilization::CPU),
        utilization::read(clients, worker, span, utilization::MEMORY),
    )?;
    Ok(Utilization::new(worker, &instance, window, span, cpu, memory))
}

#[cfg(test)]
mod tests {
    use aws_sdk_cloudwatch::operation::get_metric_statistics::GetMetricStatisticsOutput;
    use aws_sdk_cloudwatch::types::Datapoint;
    use aws_sdk_ec2::primitives::DateTime;
    use aws_smithy_mocks::mock;

    use super::*;
    use crate::error::Code;
    use crate::testing::{self, described, ec2_error, worker};

    fn points(average: f64) -> GetMetricStatisticsOutput {
        let point = Datapoint::builder().timestamp(DateTime::from_secs(60)).average(average).maximum(average).build();
        GetMetricStatisticsOutput::builder().datapoints(point).build()
    }

    #[tokio::test]
    async fn both_metrics_are_read_and_missing_memory_is_no_zero() {
        let read = mock!(aws_sdk_ec2::Client::describe_instances).then_http_response(|| described("running", true));
        let cpu = mock!(aws_sdk_cloudwatch::Client::get_metric_statistics)
            .match_requests(|r| {
                r.namespace() == Some("AWS/EC2")
                    && r.dimensions()[0].value() == Some(testing::ID)
                    && r.period() == Some(60)
            })
            .then_output(|| points(0.0));
        let memory = mock!(aws_sdk_cloudwatch::Client::get_metric_statistics)
            .match_requests(|r| r.namespace() == Some("CWAgent") && r.metric_name() == Some("mem_used_percent"))
            .then_output(|| GetMetricStatisticsOutput::builder().build());
        let clients = testing::clients(&[&read, &cpu, &memory]);
        let answer = get_instance_resources_utilization(&clients, &worker(), Window::OneMinute).await.unwrap();
        assert_eq!((answer.cpu.available, answer.cpu.average), (true, Some(0.0)));
        assert_eq!((answer.memory.available, answer.memory.average), (false, None));
        assert_eq!((answer.window, answer.period_seconds), (Window::OneMinute, 60));
    }

    #[tokio::test]
    async fn an_unknown_instance_is_a_404_and_no_empty_metric() {
        let read = mock!(aws_sdk_ec2::Client::describe_instances)
            .then_http_response(|| ec2_error(400, "InvalidInstanceID.NotFound", ""));
        let error = get_instance_resources_utilization(&testing::clients(&[&read]), &worker(), Window::default()).await;
        assert_eq!(error.unwrap_err().code, Code::InstanceNotFound);
    }
}
