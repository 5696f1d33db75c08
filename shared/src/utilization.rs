//! CPU and memory utilization from CloudWatch.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_sdk_cloudwatch::types::{Datapoint, Dimension, Statistic};
use aws_sdk_ec2::primitives::DateTime;
use serde::Serialize;

use crate::clients::Clients;
use crate::error::Error;
use crate::input::{Invalid, Refusal};
use crate::instance::{Instance, InstanceId, Worker, rfc3339};

/// The windows that may be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Window {
    /// 30 seconds.
    #[serde(rename = "30s")]
    HalfMinute,
    /// 1 minute.
    #[serde(rename = "1m")]
    OneMinute,
    /// 5 minutes.
    #[default]
    #[serde(rename = "5m")]
    FiveMinutes,
    /// 10 minutes.
    #[serde(rename = "10m")]
    TenMinutes,
}

/// The query: `?window=5m`.
#[derive(Debug, Clone, Copy, Default, deserr::Deserr)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[deserr(error = Invalid, deny_unknown_fields)]
pub struct WindowQuery {
    /// How far to look back.
    #[deserr(default, try_from(String) = Window::parse -> Refusal)]
    pub window: Window,
}

impl Window {
    fn parse(text: String) -> Result<Self, Refusal> {
        match text.as_str() {
            "30s" => Ok(Self::HalfMinute),
            "1m" => Ok(Self::OneMinute),
            "5m" => Ok(Self::FiveMinutes),
            "10m" => Ok(Self::TenMinutes),
            _ => Err(Refusal("must be 30s, 1m, 5m or 10m".to_owned())),
        }
    }

    /// Its length.
    #[must_use]
    pub fn duration(self) -> Duration {
        Duration::from_secs(match self {
            Self::HalfMinute => 30,
            Self::OneMinute => 60,
            Self::FiveMinutes => 300,
            Self::TenMinutes => 600,
        })
    }
}

/// CPU and memory of one instance.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Utilization {
    /// The instance.
    pub instance_id: InstanceId,
    /// Whether it carries the ownership tag.
    pub managed: bool,
    /// The window that was asked for.
    pub window: Window,
    /// Begin of what was read, RFC 3339 in UTC: the window's, moved back to a whole period.
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    pub start_time: Option<String>,
    /// End of what was read, RFC 3339 in UTC.
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    pub end_time: Option<String>,
    /// Seconds that one data point stands for.
    pub period_seconds: u32,
    /// `CPUUtilization` of `AWS/EC2`, in percent of all its CPUs.
    pub cpu: Metric,
    /// `mem_used_percent` of `CWAgent`, in percent.
    pub memory: Metric,
}

/// One metric over the window. 0.0 is a value; without data `available` is false and `reason` says why.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Metric {
    /// Whether CloudWatch has data points.
    pub available: bool,
    /// Mean of the data points' averages.
    pub average: Option<f64>,
    /// Highest of the data points' maxima.
    pub maximum: Option<f64>,
    /// Average of the newest data point.
    pub latest: Option<f64>,
    /// When the newest data point begins, RFC 3339 in UTC.
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    pub latest_at: Option<String>,
    /// How many data points there are.
    pub datapoints: usize,
    /// Why there are none.
    pub reason: Option<String>,
}

/// The span of CloudWatch data that a window means for an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Begin, in seconds since the epoch; a multiple of the period.
    pub start: u64,
    /// End, in seconds since the epoch.
    pub end: u64,
    /// Seconds that one data point stands for.
    pub period: u32,
}

impl Span {
    /// EC2 publishes every minute with detailed monitoring and every five minutes without; no period is shorter.
    ///
    /// CloudWatch stamps a data point with the begin of its period and returns those at or after the start: a start
    /// inside a period would lose the one data point that covers it.
    #[must_use]
    pub fn new(window: Window, detailed_monitoring: bool, now: SystemTime) -> Self {
        let period: u32 = if detailed_monitoring { 60 } else { 300 };
        let end = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let start = end.saturating_sub(window.duration().as_secs());
        Self { start: start - start % u64::from(period), end, period }
    }

    /// The begin.
    #[must_use]
    pub fn start_time(self) -> DateTime {
        DateTime::from_secs(i64::try_from(self.start).unwrap_or(i64::MAX))
    }

    /// The end.
    #[must_use]
    pub fn end_time(self) -> DateTime {
        DateTime::from_secs(i64::try_from(self.end).unwrap_or(i64::MAX))
    }
}

/// Which metric to read.
#[derive(Debug, Clone, Copy)]
pub struct MetricName {
    pub(crate) namespace: &'static str,
    pub(crate) name: &'static str,
    /// Who publishes it, for the reason when nobody does.
    publisher: &'static str,
}

/// EC2's own CPU metric.
pub const CPU: MetricName = MetricName {
    namespace: "AWS/EC2",
    name: "CPUUtilization",
    publisher: "EC2 publishes it while the instance runs, every five minutes unless detailed monitoring is on",
};

/// The CloudWatch agent's memory metric; EC2 cannot see inside an instance.
pub const MEMORY: MetricName = MetricName {
    namespace: "CWAgent",
    name: "mem_used_percent",
    publisher: "only a CloudWatch agent on the instance publishes it, with the dimension InstanceId alone",
};

/// Reads one metric of one instance.
///
/// # Errors
/// What CloudWatch refuses.
pub async fn read(clients: &Clients, worker: &Worker, span: Span, metric: MetricName) -> Result<Metric, Error> {
    let answer = clients
        .cloudwatch(&worker.region)?
        .get_metric_statistics()
        .namespace(metric.namespace)
        .metric_name(metric.name)
        .dimensions(Dimension::builder().name("InstanceId").value(worker.instance_id.as_str()).build())
        .start_time(span.start_time())
        .end_time(span.end_time())
        .period(i32::try_from(span.period).unwrap_or(i32::MAX))
        .statistics(Statistic::Average)
        .statistics(Statistic::Maximum)
        .send()
        .await?;
    Ok(Metric::from_datapoints(answer.datapoints(), metric))
}

impl Metric {
    /// Sums data points up; CloudWatch returns them in no order.
    #[must_use]
    pub fn from_datapoints(points: &[Datapoint], metric: MetricName) -> Self {
        let averages: Vec<f64> = points.iter().filter_map(Datapoint::average).collect();
        let newest =
            points.iter().filter(|point| point.average().is_some()).max_by_key(|point| point.timestamp().copied());
        let Some(newest) = newest else {
            let reason = format!("no data points of {} {}: {}", metric.namespace, metric.name, metric.publisher);
            return Self { reason: Some(reason), ..Self::default() };
        };
        #[expect(clippy::cast_precision_loss, reason = "there are at most ten data points")]
        let count = averages.len() as f64;
        Self {
            available: true,
            average: Some(averages.iter().sum::<f64>() / count),
            maximum: points.iter().filter_map(Datapoint::maximum).max_by(f64::total_cmp),
            latest: newest.average(),
            latest_at: newest.timestamp().and_then(rfc3339),
            datapoints: averages.len(),
            reason: None,
        }
    }
}

impl Utilization {
    /// Puts the answer together.
    #[must_use]
    pub fn new(worker: &Worker, instance: &Instance, window: Window, span: Span, cpu: Metric, memory: Metric) -> Self {
        Self {
            instance_id: worker.instance_id.clone(),
            managed: instance.managed,
            window,
            start_time: rfc3339(&span.start_time()),
            end_time: rfc3339(&span.end_time()),
            period_seconds: span.period,
            cpu,
            memory,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(at: i64, average: f64, maximum: f64) -> Datapoint {
        Datapoint::builder().timestamp(DateTime::from_secs(at)).average(average).maximum(maximum).build()
    }

    #[test]
    fn zero_is_a_value_and_nothing_is_none() {
        let idle = Metric::from_datapoints(&[point(60, 0.0, 0.0)], CPU);
        assert_eq!((idle.available, idle.average, idle.latest, idle.reason), (true, Some(0.0), Some(0.0), None));
        let silent = Metric::from_datapoints(&[], MEMORY);
        assert_eq!((silent.available, silent.average, silent.maximum, silent.latest), (false, None, None, None));
        assert!(silent.reason.unwrap().contains("CloudWatch agent"));
    }

    #[test]
    fn the_newest_data_point_is_found_in_any_order() {
        let metric =
            Metric::from_datapoints(&[point(120, 20.0, 25.0), point(180, 30.0, 90.0), point(60, 10.0, 95.0)], CPU);
        assert_eq!((metric.average, metric.maximum, metric.latest), (Some(20.0), Some(95.0), Some(30.0)));
        assert_eq!((metric.latest_at.as_deref(), metric.datapoints), (Some("1970-01-01T00:03:00Z"), 3));
    }

    #[test]
    fn a_span_begins_with_a_whole_period() {
        let now = UNIX_EPOCH + Duration::from_secs(1_000_070);
        let detailed = Span::new(Window::OneMinute, true, now);
        assert_eq!((detailed.start % 60, detailed.period, detailed.end), (0, 60, 1_000_070));
        let basic = Span::new(Window::HalfMinute, false, now);
        assert_eq!((basic.start % 300, basic.period), (0, 300));
        assert!(basic.end - basic.start >= 30);
    }
}
