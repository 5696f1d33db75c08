//! Measures an instance by CloudWatch's metrics.

use std::time::SystemTime;

use aws_sdk_cloudwatch::types::Statistic;
use futures_util::future::try_join_all;

use crate::aws::clients::Clients;
use crate::error::Error;
use crate::model::instance::Instance;
use crate::model::path::InstancePath;
use crate::model::utilization::{
    Absence, Metric, MetricName, Samples, Span, Utilization, UtilizationQuery, sdk_time, written,
};

#[cfg(test)]
mod simulated;

/// Measures an instance over the window that ends `now`.
///
/// # Errors
/// What CloudWatch refuses.
pub(crate) async fn measure(
    clients: &Clients,
    worker: &InstancePath,
    instance: &Instance,
    query: &UtilizationQuery,
    now: SystemTime,
) -> Result<Utilization, Error> {
    let measured = async |metric: MetricName| {
        let span = Span::new(&query.window, metric.period(instance), now);
        let found = read(clients, worker, span, metric, instance).await?;
        Ok::<_, Error>((span, Metric::new(&found, span, query.series, |newest| Absence::new(metric, instance, newest))))
    };
    let ((span, cpu), (_, memory)) =
        tokio::try_join!(measured(MetricName::CpuUtilization), measured(MetricName::MemUsedPercent))?;
    Ok(Utilization {
        instance_id: worker.instance_id.clone(),
        managed: instance.managed,
        window: query.window.clone(),
        start_time: written(span.start),
        end_time: written(span.end),
        cpu,
        memory,
    })
}

/// Reads one metric of one instance, from the set of dimensions that has the newest point. An agent that aggregates
/// publishes the same samples under several sets.
async fn read(
    clients: &Clients,
    worker: &InstancePath,
    span: Span,
    metric: MetricName,
    instance: &Instance,
) -> Result<Vec<Samples>, Error> {
    let cloudwatch = clients.cloudwatch(&worker.region)?;
    let calls = metric.dimension_sets(instance).into_iter().map(|dimensions| {
        cloudwatch
            .get_metric_statistics()
            .namespace(metric.namespace())
            .metric_name(metric.name())
            .set_dimensions(Some(dimensions))
            .start_time(sdk_time(span.read_from))
            .end_time(sdk_time(span.end))
            .period(i32::try_from(span.period).unwrap_or(i32::MAX))
            .statistics(Statistic::SampleCount)
            .statistics(Statistic::Average)
            .statistics(Statistic::Maximum)
            .send()
    });
    let found = try_join_all(calls).await?;
    let found = found.iter().map(|answer| answer.datapoints().iter().filter_map(Samples::from_datapoint).collect());
    Ok(found.max_by_key(|samples: &Vec<Samples>| samples.iter().map(|samples| samples.at).max()).unwrap_or_default())
}
