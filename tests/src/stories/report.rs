//! What many stories showed.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::iter;
use std::ops::Range;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use shared::model::sweep::decision::{Decision, decide};
use shared::model::time::Moment;
use shared::ops::sweep_workers::report::Line;

use super::life::draw;
use super::story::tell;
use crate::replay::replay;
use crate::simulation::common;

/// What the stories of some seeds showed.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// The seeds of those that went wrong, with what was wrong.
    pub wrong: BTreeMap<u64, Vec<String>>,
    /// How often what happened.
    pub counts: BTreeMap<String, usize>,
}

impl Report {
    /// Lets the stories of these seeds happen, shared out among all cores.
    ///
    /// # Panics
    /// If there is no runtime to be had, or a story panics.
    pub fn of_range(seeds: Range<u64>) -> Self {
        let next = AtomicU64::new(seeds.start);
        let drawn = || iter::from_fn(|| Some(next.fetch_add(1, Ordering::Relaxed)).filter(|seed| seeds.contains(seed)));
        let cores = thread::available_parallelism().map_or(1, usize::from);
        thread::scope(|scope| {
            let threads: Vec<_> = (0..cores).map(|_| scope.spawn(|| Self::of(drawn()))).collect();
            let reports = threads.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic)));
            reports.fold(Self::default(), Self::and)
        })
    }

    #[expect(clippy::expect_used, reason = "test support")]
    fn of(seeds: impl Iterator<Item = u64>) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let common = runtime.block_on(common());
        let mut report = Self::default();
        for seed in seeds {
            let told = tell(&common, &draw(seed), seed);
            let forgot = told.lines.iter().filter(|line| !decides_again(line));
            let forgot = forgot.map(|line| format!("what was logged leads to another decision: {:?}", line.decision));
            let otherwise = replayed_otherwise(&told.lines);
            let wrong: Vec<String> = told.wrong.iter().cloned().chain(forgot).chain(otherwise).collect();
            if !wrong.is_empty() {
                report.wrong.insert(seed, wrong);
            }
            told.counts.into_iter().for_each(|(name, count)| *report.counts.entry(name).or_default() += count);
        }
        report
    }

    /// Both together.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.wrong.extend(other.wrong);
        other.counts.into_iter().for_each(|(name, count)| *self.counts.entry(name).or_default() += count);
        self
    }

    /// What happened how often, and what went wrong.
    #[must_use]
    pub fn table(&self) -> String {
        let counts: Vec<String> = self.counts.iter().map(|(name, count)| format!("{name} {count}")).collect();
        let mut text = format!("stories: {}; {} wrong\n", counts.join(", "), self.wrong.len());
        for (seed, wrong) in &self.wrong {
            let again = format!("make stories FROM={seed} STORIES={}", seed + 1);
            let _ = writeln!(text, "story {seed}: {}; to see it again: {again}", wrong.join("; "));
        }
        text
    }
}

/// The workers about whom `replay` decides otherwise than the sweeps did, by the same rules.
fn replayed_otherwise(lines: &[Line]) -> Vec<String> {
    let Some(first) = lines.first() else { return Vec::new() };
    let mut live: BTreeMap<&str, Vec<(Moment, &Decision)>> = BTreeMap::new();
    let mut in_order: Vec<&Line> = lines.iter().collect();
    in_order.sort_by_key(|line| (line.facts.at, &line.facts.region));
    for Line { facts, decision, .. } in in_order {
        live.entry(&facts.instance_id).or_default().push((facts.at, decision));
    }
    let fates = replay(lines, &first.rules);
    let differs = |(id, decisions): (&str, Vec<(Moment, &Decision)>)| {
        let again = fates.get(id).map(|fate| fate.decisions.iter().map(|one| (one.at, &one.decision)).collect());
        let again = again.map(changes) == Some(changes(decisions));
        (!again).then(|| format!("{id}: replay decides otherwise"))
    };
    live.into_iter().filter_map(differs).collect()
}

/// The decisions that differ from the one before.
fn changes(mut decisions: Vec<(Moment, &Decision)>) -> Vec<(Moment, &Decision)> {
    decisions.dedup_by_key(|(_, decision)| (decision.verdict, decision.rule));
    decisions
}

/// Whether the line, written and read again, leads to its own decision.
fn decides_again(line: &Line) -> bool {
    let written = serde_json::to_string(line).ok().and_then(|text| serde_json::from_str::<Line>(&text).ok());
    written.is_some_and(|written| decide(&written.facts, &written.rules) == line.decision)
}
