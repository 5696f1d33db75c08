//! Reading all workers of a region, for the sweep.

use std::collections::HashMap;

use aws_sdk_cloudwatch::types::{Dimension, Statistic};
use aws_sdk_ec2::types;

use crate::aws::clients::Clients;
use crate::aws::filters::{filter, literal};
use crate::aws::instances::{instances_of, shown};
use crate::error::Error;
use crate::model::instance::Instance;
use crate::model::region::Region;
use crate::model::sweep::facts::{PERIOD, Period};
use crate::model::tags::OWNERSHIP_KEY;
use crate::model::time::Moment;
use crate::model::utilization::metric_name::MetricName;
use crate::model::utilization::window::sdk_time;

/// The most ids that DescribeInstanceStatus takes: "Maximum 100 explicitly specified instance IDs."
pub(crate) const MOST_IDS: usize = 100;

/// How much longer than the window the CPU is read, in seconds: CloudWatch shows its newest point late.
const LATE: u64 = 25 * 60;

/// All managed instances of a region, those that are terminated but still shown too.
///
/// # Errors
/// What EC2 refuses.
pub(crate) async fn managed(clients: &Clients, region: &Region) -> Result<Vec<Instance>, Error> {
    let ours = filter(&format!("tag:{OWNERSHIP_KEY}"), &literal(clients.managed_by()));
    let mut pages = clients.ec2(region)?.describe_instances().filters(ours).into_paginator().page_size(1000).send();
    let mut found = Vec::new();
    while let Some(page) = pages.next().await {
        found.extend(instances_of(page?).map(|instance| shown(clients, region, instance)));
    }
    Ok(found)
}

/// The statuses of up to 100 instances that run.
///
/// # Errors
/// What EC2 refuses. One id that EC2 does not know fails the call for all.
pub(crate) async fn statuses(
    clients: &Clients,
    region: &Region,
    instance_ids: Vec<String>,
) -> Result<HashMap<String, types::InstanceStatus>, Error> {
    let call = clients.ec2(region)?.describe_instance_status().set_instance_ids(Some(instance_ids));
    let statuses = call.send().await?.instance_statuses.unwrap_or_default().into_iter();
    Ok(statuses.filter_map(|status| Some((status.instance_id()?.to_owned(), status))).collect())
}

/// The CPU utilization of the last minutes, in whole periods of five minutes, oldest first.
///
/// # Errors
/// What CloudWatch refuses.
pub(crate) async fn cpu(
    clients: &Clients,
    region: &Region,
    instance_id: &str,
    minutes: u64,
    now: Moment,
) -> Result<Vec<Period>, Error> {
    let metric = MetricName::CpuUtilization;
    let from = now.seconds().saturating_sub(minutes * 60 + LATE);
    let answer = clients
        .cloudwatch(region)?
        .get_metric_statistics()
        .namespace(metric.namespace())
        .metric_name(metric.name())
        .dimensions(Dimension::builder().name("InstanceId").value(instance_id).build())
        .start_time(sdk_time(from - from % PERIOD))
        .end_time(sdk_time(now.seconds()))
        .period(i32::try_from(PERIOD).unwrap_or(i32::MAX))
        .statistics(Statistic::Average)
        .send()
        .await?;
    let period = |point: &aws_sdk_cloudwatch::types::Datapoint| {
        let at = Moment::new(u64::try_from(point.timestamp()?.secs()).ok()?);
        Some(Period { at, average: point.average()? })
    };
    let whole = |period: &Period| period.at.seconds() + PERIOD <= now.seconds();
    let mut periods: Vec<Period> = answer.datapoints().iter().filter_map(period).filter(whole).collect();
    periods.sort_by_key(|period| period.at);
    Ok(periods)
}
