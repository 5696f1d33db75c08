//! CPU and memory data of workers: what EC2 and the CloudWatch agent on a worker publish on AWS.

use std::time::{Duration, SystemTime};

use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{Dimension, MetricDatum, StandardUnit};

use super::Result;

/// How far apart the data points are.
pub const PERIOD: Duration = Duration::from_secs(60);

/// Publishes one data point per worker and metric, for the minute that `at` is in.
///
/// # Errors
/// CloudWatch refused it.
pub async fn publish(cloudwatch: &Client, instance_ids: &[String], at: SystemTime) -> Result<()> {
    // CloudWatch takes no empty list.
    if instance_ids.is_empty() {
        return Ok(());
    }
    let minute = at.duration_since(SystemTime::UNIX_EPOCH)?.as_secs() / PERIOD.as_secs();
    for (metric, namespace, base, swing) in
        [("CPUUtilization", "AWS/EC2", 35.0, 20.0), ("mem_used_percent", "CWAgent", 60.0, 5.0)]
    {
        let data = instance_ids
            .iter()
            .zip(1..)
            .map(|(instance_id, worker)| datum(metric, instance_id, minute, wave(minute, worker, base, swing)));
        cloudwatch.put_metric_data().namespace(namespace).set_metric_data(Some(data.collect())).send().await?;
    }
    Ok(())
}

/// Publishes the last `minutes` minutes, this one included.
///
/// # Errors
/// CloudWatch refused it.
pub async fn publish_past(cloudwatch: &Client, instance_ids: &[String], minutes: u32) -> Result<()> {
    let now = SystemTime::now();
    for minute in (0..minutes).rev() {
        publish(cloudwatch, instance_ids, now - PERIOD * minute).await?;
    }
    Ok(())
}

fn datum(metric: &str, instance_id: &str, minute: u64, value: f64) -> MetricDatum {
    MetricDatum::builder()
        .metric_name(metric)
        .dimensions(Dimension::builder().name("InstanceId").value(instance_id).build())
        .timestamp(DateTime::from_secs(i64::try_from(minute * PERIOD.as_secs()).unwrap_or(i64::MAX)))
        .unit(StandardUnit::Percent)
        .value(value)
        .build()
}

/// Up and down once in half an hour, each worker in its own phase.
fn wave(minute: u64, worker: u32, base: f64, swing: f64) -> f64 {
    let phase = (minute % 30) as f64 / 30.0 * std::f64::consts::TAU;
    base + swing * (phase + f64::from(worker)).sin()
}
