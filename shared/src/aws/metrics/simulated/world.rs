//! What the simulated CloudWatch answers: the metrics of one instance, at a moment.

use std::sync::Once;

use aws_sdk_cloudwatch::config::http::HttpResponse;
use aws_sdk_cloudwatch::operation::get_metric_statistics::GetMetricStatisticsInput;
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::Statistic;
use aws_smithy_cbor::Encoder;
use aws_smithy_types::body::SdkBody;

use super::MINUTE;
use super::published::Published;
use crate::model::utilization::Samples;
use crate::testing;

/// The metrics of the instance that the simulated CloudWatch has at a moment of its virtual time.
#[derive(Debug, Clone)]
pub(super) struct World {
    pub(super) cpu: Published,
    pub(super) memory: Published,
    pub(super) agent: Agent,
    pub(super) now: u64,
}

/// The dimensions with which an agent publishes, by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Agent {
    None,
    With(&'static [&'static str]),
    /// The same samples with two sets of dimensions, like an agent that aggregates.
    WithBoth(&'static [&'static str], &'static [&'static str]),
    /// First with one set, and since ten minutes ago with the other.
    Changed(&'static [&'static str], &'static [&'static str]),
}

impl World {
    /// The memory metric that is published with these dimensions.
    fn memory_with(&self, names: &[&str]) -> Option<Published> {
        match self.agent {
            Agent::None => None,
            Agent::With(one) => (names == one).then_some(self.memory),
            Agent::WithBoth(one, other) => (names == one || names == other).then_some(self.memory),
            Agent::Changed(before, after) => {
                let at = self.now - 10 * MINUTE;
                let (old, new) = (Published { ended: at, ..self.memory }, Published { launched: at, ..self.memory });
                if names == before { Some(old) } else { (names == after).then_some(new) }
            }
        }
    }

    /// The metric that an answer should show: the one that the agent publishes now, if it publishes any.
    pub(super) fn current_memory(&self) -> Option<Published> {
        match self.agent {
            Agent::None => None,
            Agent::With(_) | Agent::WithBoth(..) => Some(self.memory),
            Agent::Changed(_, after) => self.memory_with(after),
        }
    }

    pub(super) fn answer(&self, request: &GetMetricStatisticsInput) -> HttpResponse {
        assert_eq!(request.statistics(), [Statistic::SampleCount, Statistic::Average, Statistic::Maximum]);
        let names: Vec<&str> = dimensions(request).into_iter().map(|(name, _)| name).collect();
        let published = match (request.namespace(), request.metric_name()) {
            (Some("AWS/EC2"), Some("CPUUtilization")) if names == ["InstanceId"] => Some(self.cpu),
            (Some("CWAgent"), Some("mem_used_percent")) => self.memory_with(&names),
            _ => None,
        };
        let seconds = |time: Option<&DateTime>| u64::try_from(time.unwrap().secs()).unwrap();
        let (from, to) = (seconds(request.start_time()), seconds(request.end_time()));
        let period = u64::try_from(request.period().unwrap()).unwrap();
        assert!((to - from).div_ceil(period) <= 1440, "more points than CloudWatch returns");
        let points = published.map(|published| published.statistics(from, to, period, self.now));
        cbor(&points.unwrap_or_default())
    }
}

/// An answer as CloudWatch writes it: smithy's rpc-v2-cbor.
fn cbor(points: &[Samples]) -> HttpResponse {
    let mut body = Encoder::new(Vec::new());
    body.map(2).str("Label").str("CPUUtilization").str("Datapoints").array(points.len());
    for point in points {
        let at = DateTime::from_secs(i64::try_from(point.at).unwrap());
        body.map(5).str("Timestamp").timestamp(&at).str("SampleCount").double(point.count);
        body.str("Average").double(point.average).str("Maximum").double(point.maximum).str("Unit").str("Percent");
    }
    let body = body.into_writer();
    if !points.is_empty() {
        // One answer stands for all, which differ only in their numbers.
        static FIRST: Once = Once::new();
        FIRST.call_once(|| testing::journal(Some("GetMetricStatistics"), 200, &body));
    }
    let mut response = HttpResponse::new(200.try_into().unwrap(), SdkBody::from(body));
    response.headers_mut().insert("smithy-protocol", "rpc-v2-cbor");
    response.headers_mut().insert("content-type", "application/cbor");
    response
}

/// The names and values of a request's dimensions, sorted.
fn dimensions(request: &GetMetricStatisticsInput) -> Vec<(&str, &str)> {
    let mut pairs: Vec<_> = request
        .dimensions()
        .iter()
        .map(|dimension| (dimension.name().unwrap_or_default(), dimension.value().unwrap_or_default()))
        .collect();
    pairs.sort_unstable();
    pairs
}
