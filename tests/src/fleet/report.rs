//! What an hour showed, as a table.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::day::Sweep;
use super::scene::{BEGIN, LATENCY, LENGTH, MINUTE, Scene};
use crate::simulation::{Bucket, Buckets};

/// What an hour showed.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The fleet.
    pub scene: Scene,
    /// What must never happen and did: a launch that happened twice, an action on a wrong worker.
    pub wrong: Vec<String>,
    /// How often a sweep did not see a worker that was there.
    pub unseen: usize,
    /// How many changes nobody was told.
    pub unpublished: usize,
    /// How many workers are not as their owner asked for, because all calls for it were in vain.
    pub undone: usize,
    /// The sweeps.
    pub(super) sweeps: Vec<Sweep>,
    /// How long the longest round of the monitoring took.
    pub longest_round: u64,
    /// How often what happened to the callers.
    pub counts: BTreeMap<String, usize>,
    /// How many environments each function needed at the same time.
    pub environments: BTreeMap<String, usize>,
    /// The buckets of each region.
    pub buckets: Buckets,
}

impl Outcome {
    /// How often something happened.
    pub fn count(&self, what: &str) -> usize {
        self.counts.get(what).copied().unwrap_or_default()
    }

    /// How many workers the sweeps stopped.
    pub fn acted(&self) -> usize {
        self.sweeps.iter().map(|sweep| sweep.acted).sum()
    }

    /// How many calls AWS refused because a bucket was empty.
    pub fn throttled(&self) -> u64 {
        self.buckets.values().map(|bucket| bucket.refused).sum()
    }

    /// Whether nothing was refused and nothing is missing.
    pub fn is_good(&self) -> bool {
        let failures: usize = self.sweeps.iter().map(|sweep| sweep.failures.len()).sum();
        let missing = self.unseen + self.unpublished + self.undone + failures;
        self.wrong.is_empty() && missing + self.count("429 by AWS") == 0
    }

    /// Everything in lines.
    pub fn table(&self) -> String {
        let Scene { workers, regions, limits, readers } = self.scene;
        let mut text = format!(
            "fleet: {workers} workers in {regions} regions, {} minutes, {LATENCY} ms a call, {readers} read at once, \
             AWS's limits divided by {}, ids {} a filter\n",
            LENGTH / MINUTE,
            limits.divided_by,
            if limits.ids_are_a_filter { "are" } else { "are not" },
        );
        text += &self.told_of_sweeps();
        let counts: Vec<String> = self.counts.iter().map(|(what, count)| format!("{what} {count}")).collect();
        let _ = writeln!(text, "  callers: {}; longest round {}", counts.join(", "), seconds(self.longest_round));
        let environments: Vec<String> =
            self.environments.iter().map(|(name, number)| format!("{name} {number}")).collect();
        let _ = writeln!(text, "  environments at once: {}", environments.join(", "));
        let _ = writeln!(
            text,
            "  wrong: {:?}; changes without an event {}, not done {}",
            self.wrong, self.unpublished, self.undone
        );
        text + &self.told_of_actions() + &self.told_of_regions()
    }

    fn told_of_sweeps(&self) -> String {
        let long = |sweeps: &[Sweep]| sweeps.iter().map(|sweep| sweep.to - sweep.from).max().unwrap_or_default();
        let (first, later) = self.sweeps.split_at(1.min(self.sweeps.len()));
        let mut failures: BTreeMap<&str, usize> = BTreeMap::new();
        for failure in self.sweeps.iter().flat_map(|sweep| &sweep.failures) {
            *failures.entry(failure).or_default() += 1;
        }
        format!(
            "  sweeps: {}, the first {}, the longest later one {}; stopped {}, workers not seen {}, failures {failures:?}\n",
            self.sweeps.len(),
            seconds(long(first)),
            seconds(long(later)),
            self.acted(),
            self.unseen,
        )
    }

    /// Each bucket: in all regions, and in the region where it was emptiest.
    fn told_of_actions(&self) -> String {
        let mut names: BTreeMap<&str, Vec<(&str, &Bucket)>> = BTreeMap::new();
        for ((region, name), bucket) in &self.buckets {
            names.entry(name).or_default().push((region, bucket));
        }
        let mut text = format!("  {:<38} {:>8} {:>9}   emptiest\n", "calls", "carried", "throttled");
        for (name, regions) in names {
            let sum = |of: fn(&Bucket) -> u64| regions.iter().map(|(_, bucket)| of(bucket)).sum::<u64>();
            let (taken, refused) = (sum(|bucket| bucket.taken), sum(|bucket| bucket.refused));
            let emptiest = regions.iter().min_by_key(|(_, bucket)| bucket.emptiest().0);
            let emptiest = emptiest.map(|(region, bucket)| level(region, bucket)).unwrap_or_default();
            let _ = writeln!(text, "  {name:<38} {taken:>8} {refused:>9}   {emptiest}");
        }
        text
    }

    /// Each region: its calls, and the bucket that was emptiest for its size.
    fn told_of_regions(&self) -> String {
        let mut text = String::new();
        for region in self.scene.regions() {
            let of_region = || self.buckets.iter().filter(move |((of, _), _)| of == region);
            // Each call takes from one bucket that has not the word, and some from one that has.
            let requests = || of_region().filter(|((_, name), _)| !name.ends_with(", instances"));
            let taken: u64 = requests().map(|(_, bucket)| bucket.taken).sum();
            let refused: u64 = of_region().map(|(_, bucket)| bucket.refused).sum();
            let emptiest = of_region().min_by_key(|(_, bucket)| bucket.emptiest().0 * 1_000 / bucket.size());
            let emptiest = emptiest.map(|((_, name), bucket)| format!("{name}: {}", level("", bucket)));
            let _ = writeln!(text, "  {region:<38} {taken:>8} {refused:>9}   {}", emptiest.unwrap_or_default());
        }
        text
    }
}

fn level(region: &str, bucket: &Bucket) -> String {
    let (held, at) = bucket.emptiest();
    let of_run = at.saturating_sub(BEGIN) / 1_000;
    let at = format!("{}:{:02}", of_run / 60, of_run % 60);
    format!("{region} {held} of {} after {at}", bucket.size()).trim_start().to_owned()
}

fn seconds(milliseconds: u64) -> String {
    format!("{}.{} s", milliseconds / 1_000, milliseconds % 1_000 / 100)
}
