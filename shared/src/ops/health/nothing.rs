//! The question by which the health check and the self-test find out whether CloudWatch answers.

use std::time::{Duration, SystemTime};

use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::operation::get_metric_statistics::builders::GetMetricStatisticsFluentBuilder;
use aws_sdk_cloudwatch::types::{Dimension, Statistic};

use crate::model::utilization::metric_name::MetricName;

/// The dimension of the metric that the health check asks CloudWatch for. Nobody publishes one: AWS does not have the dimension
/// in `AWS/EC2`, and tells everyone else not to publish there. So the call is as cheap as one can be, and finds no data.
pub const DIMENSION: &str = "HealthCheck";

/// A request that CloudWatch accepts and that finds no data.
pub(crate) fn metric_of_nothing(cloudwatch: &Client, now: SystemTime) -> GetMetricStatisticsFluentBuilder {
    let metric = MetricName::CpuUtilization;
    cloudwatch
        .get_metric_statistics()
        .namespace(metric.namespace())
        .metric_name(metric.name())
        .dimensions(Dimension::builder().name(DIMENSION).value("nothing").build())
        .start_time((now - Duration::from_secs(60)).into())
        .end_time(now.into())
        .period(60)
        .statistics(Statistic::SampleCount)
}
