//! Units, percentiles, and what a figure is over many rounds.

use std::time::Duration;

use serde::Serialize;

/// A duration in milliseconds.
#[must_use]
pub fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// Bytes in megabytes.
#[expect(clippy::cast_precision_loss, reason = "a process has less than 2^52 bytes")]
#[must_use]
pub fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// A number of calls, to divide by.
#[expect(clippy::cast_precision_loss, reason = "a number of calls")]
#[must_use]
pub fn count(calls: usize) -> f64 {
    calls as f64
}

/// A figure over all rounds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// The middle one.
    pub median: f64,
    /// The smallest one.
    pub min: f64,
    /// The largest one.
    pub max: f64,
}

impl Spread {
    /// The spread of these values; none of no values.
    #[must_use]
    pub fn of(values: &[f64]) -> Option<Self> {
        let sorted = sorted(values);
        Some(Self { median: median(&sorted)?, min: *sorted.first()?, max: *sorted.last()? })
    }
}

/// The value below or at which so many of 1,000 values are: the nearest rank. None of no values.
#[must_use]
pub fn percentile(values: &[f64], of_thousand: usize) -> Option<f64> {
    let rank = (values.len() * of_thousand).div_ceil(1000);
    sorted(values).get(rank.saturating_sub(1)).copied()
}

/// One figure in terms of another one, round by round: what slows a whole round down slows both.
#[must_use]
pub fn ratios(of: &[f64], to: &[f64]) -> Vec<f64> {
    of.iter().zip(to).map(|(of, to)| of / to).collect()
}

/// The middle value, or what lies between the two in the middle.
fn median(sorted: &[f64]) -> Option<f64> {
    let upper = *sorted.get(sorted.len() / 2)?;
    let lower = *sorted.get(sorted.len().checked_sub(1)? / 2)?;
    Some(f64::midpoint(lower, upper))
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_value_in_any_order() {
        let spread = Spread::of(&[9.0, 1.0, 2.0]).unwrap();
        assert_eq!((spread.min, spread.median, spread.max), (1.0, 2.0, 9.0));
        assert_eq!(Spread::of(&[4.0, 1.0, 2.0, 9.0]).unwrap().median, 3.0);
        assert_eq!(Spread::of(&[5.0]).unwrap(), Spread { median: 5.0, min: 5.0, max: 5.0 });
    }

    #[test]
    fn of_no_values_there_is_no_figure() {
        assert_eq!((Spread::of(&[]), percentile(&[], 500)), (None, None));
        assert_eq!(ratios(&[], &[1.0]), Vec::<f64>::new());
    }

    #[test]
    fn a_percentile_is_a_value_that_was_seen() {
        let values: Vec<f64> = (1..=1000).rev().map(f64::from).collect();
        for (rank, value) in [(500, 500.0), (990, 990.0), (999, 999.0), (1000, 1000.0)] {
            assert_eq!(percentile(&values, rank), Some(value), "{rank}");
        }
        // One slow call of 100 is above the 99th percentile, and two are not.
        let slow = |count: usize| [vec![1.0; 100 - count], vec![50.0; count]].concat();
        assert_eq!(percentile(&slow(1), 990), Some(1.0));
        assert_eq!(percentile(&slow(2), 990), Some(50.0));
    }

    #[test]
    fn ratios_compare_within_a_round() {
        // The machine was half as fast in the second round.
        assert_eq!(ratios(&[6.0, 12.0], &[2.0, 4.0]), [3.0, 3.0]);
        assert_ne!(ratios(&[6.0, 12.0], &[4.0, 2.0]), [3.0, 3.0]);
    }
}
