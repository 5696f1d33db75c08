//! One metric, from the points that CloudWatch has of it.

use aws_sdk_cloudwatch::types::Datapoint;
use serde::Serialize;

use super::absence::{Absence, Cause};
use super::window::{Span, written};

/// One metric over the window. 0.0 is a measured value; an unknown value is `null`, and `cause` and `reason` say why.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Metric {
    /// Whether CloudWatch shows a point in the window or in the last half hour. If it does, `latest`, `latest_at` and
    /// `age_seconds` have values.
    pub available: bool,
    /// Mean of all samples of the points that overlap the window, in percent.
    pub average: Option<f64>,
    /// Highest sample of the points that overlap the window, in percent.
    pub maximum: Option<f64>,
    /// Average of the newest point, in the window or before it, in percent.
    pub latest: Option<f64>,
    /// When the newest point begins, RFC 3339 in UTC.
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    pub latest_at: Option<String>,
    /// Seconds since `latest_at`.
    pub age_seconds: Option<u64>,
    /// How many points overlap the window.
    pub datapoints: usize,
    /// Seconds that one point covers.
    pub period_seconds: u32,
    /// Why no point overlaps the window, or why there is no point at all.
    pub cause: Option<Cause>,
    /// The cause in words.
    pub reason: Option<String>,
    /// All points that were read, oldest first; only with `series=true`.
    pub points: Option<Vec<Point>>,
}

/// One point of a metric.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Point {
    /// When the point begins, RFC 3339 in UTC.
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    pub at: Option<String>,
    /// Mean of its samples, in percent.
    pub average: f64,
    /// Highest of its samples, in percent.
    pub maximum: f64,
    /// How many samples the point has so far.
    pub samples: f64,
    /// Whether the point overlaps the window.
    pub in_window: bool,
}

/// What CloudWatch shows of one period.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Samples {
    /// When the period begins, in seconds since the epoch.
    pub at: u64,
    /// How many samples there are, CloudWatch's `SampleCount`. The current period has fewer than it will have at its end.
    pub count: f64,
    /// The mean of the samples.
    pub average: f64,
    /// The highest sample.
    pub maximum: f64,
}

impl Samples {
    /// Reads the statistics that were asked for; none from a point that lacks any of them.
    pub(crate) fn from_datapoint(point: &Datapoint) -> Option<Self> {
        let at = u64::try_from(point.timestamp()?.secs()).ok()?;
        let count = point.sample_count().filter(|count| *count > 0.0)?;
        Some(Self { at, count, average: point.average()?, maximum: point.maximum()? })
    }
}

impl Metric {
    /// Sums up the points that CloudWatch shows, which can be in any order. If the window has no point, `why` gets the age
    /// of the newest point and tells the reason.
    ///
    /// The average is the mean of all samples: in a mean of the points' means, a period with one sample would weigh as much
    /// as a period with five.
    #[must_use]
    pub fn new(found: &[Samples], span: Span, series: bool, why: impl FnOnce(Option<u64>) -> Absence) -> Self {
        let in_window = || found.iter().filter(|samples| span.holds(samples.at));
        let count: f64 = in_window().map(|samples| samples.count).sum();
        let sum: f64 = in_window().map(|samples| samples.average * samples.count).sum();
        let newest = found.iter().max_by_key(|samples| samples.at);
        let age_seconds = newest.map(|newest| span.end.saturating_sub(newest.at));
        let absence = (count == 0.0).then(|| why(age_seconds));
        Self {
            available: newest.is_some(),
            average: (count > 0.0).then(|| sum / count),
            maximum: in_window().map(|samples| samples.maximum).max_by(f64::total_cmp),
            latest: newest.map(|newest| newest.average),
            latest_at: newest.and_then(|newest| written(newest.at)),
            age_seconds,
            datapoints: in_window().count(),
            period_seconds: span.period,
            cause: absence.as_ref().map(|absence| absence.cause),
            reason: absence.map(|absence| absence.reason),
            points: series.then(|| points(found, span)),
        }
    }
}

fn points(found: &[Samples], span: Span) -> Vec<Point> {
    let mut found = found.to_vec();
    found.sort_by_key(|samples| samples.at);
    let point = |samples: Samples| Point {
        at: written(samples.at),
        average: samples.average,
        maximum: samples.maximum,
        samples: samples.count,
        in_window: span.holds(samples.at),
    };
    found.into_iter().map(point).collect()
}

#[cfg(test)]
mod tests {
    use aws_sdk_cloudwatch::primitives::DateTime;

    use super::*;

    const SPAN: Span = Span { read_from: 0, start: 600, end: 1000, period: 300 };

    fn samples(at: u64, count: f64, average: f64, maximum: f64) -> Samples {
        Samples { at, count, average, maximum }
    }

    fn absent(_: Option<u64>) -> Absence {
        Absence { cause: Cause::NotShown, reason: "nothing is shown".to_owned() }
    }

    fn metric(found: &[Samples]) -> Metric {
        Metric::new(found, SPAN, true, absent)
    }

    #[test]
    fn five_samples_weigh_as_much_as_five() {
        let metric = metric(&[samples(900, 1.0, 100.0, 100.0), samples(600, 5.0, 10.0, 12.0)]);
        assert_eq!((metric.average, metric.maximum, metric.datapoints), (Some(25.0), Some(100.0), 2));
    }

    #[test]
    fn zero_is_a_value_and_nothing_is_none() {
        let idle = metric(&[samples(600, 5.0, 0.0, 0.0)]);
        assert_eq!((idle.available, idle.average, idle.latest, &idle.reason), (true, Some(0.0), Some(0.0), &None));
        let silent = metric(&[]);
        assert_eq!((silent.available, silent.average, silent.maximum, silent.latest), (false, None, None, None));
        assert_eq!((silent.cause, silent.reason.as_deref()), (Some(Cause::NotShown), Some("nothing is shown")));
    }

    #[test]
    fn the_newest_data_point_is_found_in_any_order() {
        let found = [samples(600, 5.0, 20.0, 25.0), samples(900, 2.0, 30.0, 90.0), samples(300, 5.0, 10.0, 95.0)];
        let metric = metric(&found);
        assert_eq!((metric.latest, metric.latest_at.as_deref()), (Some(30.0), Some("1970-01-01T00:15:00Z")));
        assert_eq!((metric.age_seconds, metric.maximum), (Some(100), Some(90.0)));
        let points: Vec<_> = metric.points.unwrap().iter().map(|point| (point.average, point.in_window)).collect();
        assert_eq!(points, [(10.0, false), (20.0, true), (30.0, true)]);
    }

    #[test]
    fn a_point_before_the_window_is_the_latest_and_no_average() {
        let metric = metric(&[samples(0, 5.0, 40.0, 50.0)]);
        assert_eq!((metric.available, metric.latest, metric.age_seconds), (true, Some(40.0), Some(1000)));
        assert_eq!((metric.average, metric.maximum, metric.datapoints), (None, None, 0));
        assert_eq!(metric.cause, Some(Cause::NotShown));
    }

    #[test]
    fn a_point_that_lacks_what_was_asked_for_is_none() {
        let point = || Datapoint::builder().timestamp(DateTime::from_secs(60)).average(1.0).maximum(2.0);
        assert_eq!(Samples::from_datapoint(&point().sample_count(3.0).build()), Some(samples(60, 3.0, 1.0, 2.0)));
        assert_eq!(Samples::from_datapoint(&point().build()), None);
        assert_eq!(Samples::from_datapoint(&point().sample_count(0.0).build()), None);
        assert_eq!(Samples::from_datapoint(&Datapoint::builder().average(1.0).sample_count(1.0).build()), None);
    }
}
