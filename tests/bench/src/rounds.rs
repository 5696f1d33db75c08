//! Many rounds of all rows, one row after the other: what slows the machine down slows every row.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::Result;
use crate::figures::{Spread, ratios};
use crate::run::Bench;
use crate::sample::Sample;
use crate::variant::Variant;

/// The samples of each row by its name, in the order of the rounds.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(transparent)]
pub struct Samples(BTreeMap<String, Vec<Sample>>);

impl Samples {
    /// Runs all rounds. `told` is told of each.
    ///
    /// # Errors
    /// A process does not start, ends, hangs, or gives an answer that is no success.
    pub async fn measure(bench: &Bench, variants: &[Variant], told: impl Fn(usize)) -> Result<Self> {
        let mut samples = Self::default();
        for round in 0..bench.settings.rounds {
            told(round);
            for variant in in_turn(variants, round) {
                samples.add(&variant.name, bench.measure(variant).await?);
            }
        }
        Ok(samples)
    }

    /// Adds a sample to a row.
    pub fn add(&mut self, name: &str, sample: Sample) {
        self.0.entry(name.to_owned()).or_default().push(sample);
    }

    /// One figure of a row, in each round; none if the row was not measured.
    #[must_use]
    pub fn values(&self, name: &str, figure: impl Fn(&Sample) -> Option<f64>) -> Vec<f64> {
        self.0.get(name).into_iter().flatten().filter_map(figure).collect()
    }

    /// The key exchanges that were seen.
    #[must_use]
    pub fn key_exchanges(&self) -> BTreeSet<&'static str> {
        self.0.values().flatten().filter_map(|sample| sample.key_exchange).collect()
    }

    /// One figure of a row over all rounds.
    #[must_use]
    pub fn spread(&self, name: &str, figure: impl Fn(&Sample) -> Option<f64>) -> Option<Spread> {
        Spread::of(&self.values(name, figure))
    }

    /// One figure of a row in terms of another row's, over all rounds.
    #[must_use]
    pub fn ratio(&self, of: &str, to: &str, figure: impl Fn(&Sample) -> f64) -> Option<Spread> {
        let values = |name: &str| self.values(name, |sample| Some(figure(sample)));
        Spread::of(&ratios(&values(of), &values(to)))
    }
}

/// The rows in the order of a round. Each round begins with another row, and every other round goes backwards, so that no row
/// always follows the same one.
fn in_turn(variants: &[Variant], round: usize) -> Vec<&Variant> {
    let first = round % variants.len().max(1);
    let mut order: Vec<&Variant> = variants.iter().cycle().skip(first).take(variants.len()).collect();
    if round % 2 == 1 {
        order.reverse();
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::variant::functions;

    /// A sample in which all times are this many milliseconds.
    fn sample(ms: f64) -> Sample {
        Sample {
            init_ms: ms,
            first_answer_ms: ms,
            first_invocation_ms: ms,
            warm_p50_ms: ms,
            warm_p99_ms: ms,
            cold_cpu_ms: ms,
            warm_cpu_ms: ms,
            peak_mb: ms,
            cold_calls: 1,
            warm_calls: 1,
            bare_ms: None,
            bare_connect_ms: None,
            key_exchange: None,
        }
    }

    #[test]
    fn a_ratio_is_of_the_same_round() {
        let mut samples = Samples::default();
        // The second round was slow for all.
        for (function, hello) in [(6.0, 2.0), (60.0, 20.0), (9.0, 3.0)] {
            samples.add("function", sample(function));
            samples.add("hello", sample(hello));
        }
        let ratio = samples.ratio("function", "hello", |sample| sample.first_answer_ms).unwrap();
        assert_eq!((ratio.min, ratio.median, ratio.max), (3.0, 3.0, 3.0));
        assert_eq!(samples.spread("function", |sample| Some(sample.init_ms)).unwrap().max, 60.0);
    }

    #[test]
    fn what_was_not_measured_has_no_figure() {
        let mut samples = Samples::default();
        samples.add("function", sample(1.0));
        assert_eq!(samples.ratio("function", "boto3", |sample| sample.first_answer_ms), None);
        assert_eq!(samples.spread("boto3", |sample| Some(sample.init_ms)), None);
        assert_eq!(samples.spread("function", |sample| sample.bare_ms), None);
    }

    #[test]
    fn every_round_has_every_row_once_in_another_order() {
        let variants = functions(&[]).unwrap();
        let names =
            |round| in_turn(&variants, round).into_iter().map(|variant| variant.name.clone()).collect::<Vec<_>>();
        let sorted = |round| {
            let mut names = names(round);
            names.sort();
            names
        };
        for round in 0..variants.len() {
            assert_eq!(sorted(round), sorted(0));
            assert_ne!(names(round), names(round + 1), "round {round}");
        }
    }
}
