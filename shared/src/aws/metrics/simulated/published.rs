//! How the simulated CloudWatch publishes one metric.
//!
//! A sample is taken each minute. A point is stamped with the begin of its period and shown some time later: either as a
//! whole, as on Xen, or from its first sample on and then updated, as on Nitro. `docs/PROOFS.md` has AWS's sentences about
//! both; no page says how long "some time" is.

use super::MINUTE;
use crate::model::utilization::Samples;

/// One metric of one instance, and how it is published.
#[derive(Debug, Clone, Copy)]
pub(super) struct Published {
    /// Seconds that one point covers.
    pub(super) period: u64,
    /// Seconds from a point's stamp until it is shown with all its samples.
    pub(super) delay: u64,
    /// Whether the current period is shown, too, with its samples so far.
    pub(super) running: bool,
    /// When the instance was started.
    pub(super) launched: u64,
    /// When the metric was last published with these dimensions: an agent can get another configuration.
    pub(super) ended: u64,
}

impl Published {
    pub(super) fn basic(delay_minutes: u64, running: bool, launched: u64) -> Self {
        Self { period: 5 * MINUTE, delay: delay_minutes * MINUTE, running, launched, ended: u64::MAX }
    }

    pub(super) fn detailed(delay_minutes: u64, launched: u64) -> Self {
        Self { period: MINUTE, delay: delay_minutes * MINUTE, running: false, launched, ended: u64::MAX }
    }

    /// The sample of a minute: any number that differs from its neighbours'.
    fn sample(minute: u64) -> f64 {
        f64::from(u32::try_from(minute.wrapping_mul(2_654_435_761) % 101).unwrap())
    }

    /// Whether the sample that was taken at `minute` is shown at `now`.
    pub(super) fn shows(self, minute: u64, now: u64) -> bool {
        let whole = minute - minute % self.period + self.delay;
        // The last sample of a running period is shown when a whole period would be; each other sample is shown as much
        // earlier as it was taken earlier.
        let shown = if self.running { minute + MINUTE + self.delay - self.period } else { whole };
        (self.launched..self.ended).contains(&minute) && shown <= now
    }

    /// The samples of the minutes from `from` up to `to` that are shown at `now`.
    pub(super) fn shown(self, from: u64, to: u64, now: u64) -> impl Iterator<Item = (u64, f64)> {
        let minutes = (from.div_ceil(MINUTE)..to.div_ceil(MINUTE)).map(|minute| minute * MINUTE);
        minutes.filter(move |minute| self.shows(*minute, now)).map(|minute| (minute, Self::sample(minute)))
    }

    /// GetMetricStatistics, newest first: "Data points are not returned in chronological order."
    pub(super) fn statistics(self, from: u64, to: u64, period: u64, now: u64) -> Vec<Samples> {
        let points = (from..to).step_by(usize::try_from(period).unwrap()).filter_map(|at| {
            let (mut count, mut sum, mut maximum) = (0.0, 0.0, f64::MIN);
            for (_, sample) in self.shown(at, at + period, now) {
                (count, sum, maximum) = (count + 1.0, sum + sample, f64::max(maximum, sample));
            }
            (count > 0.0).then(|| Samples { at, count, average: sum / count, maximum })
        });
        let mut points: Vec<Samples> = points.collect();
        points.reverse();
        points
    }
}
