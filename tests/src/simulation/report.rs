//! What many histories showed, and the smallest form of one that went wrong.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::iter;
use std::ops::Range;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use aws_config::SdkConfig;

use super::history::happen;
use super::invariants::{EXCEPTIONS, Exception, INVARIANTS, Invariant};
use super::kind::{FAULTS, KINDEST, Kind};
use super::program::Program;

/// The calls that the histories' operations make.
const ACTIONS: [&str; 13] = [
    "CreateTags",
    "DeleteTags",
    "DescribeImages",
    "DescribeInstanceStatus",
    "DescribeInstances",
    "DescribeRegions",
    "DescribeTags",
    "GetMetricStatistics",
    "GetParameter",
    "RunInstances",
    "StartInstances",
    "StopInstances",
    "TerminateInstances",
];

/// How many histories that went wrong are told.
const TOLD: usize = 3;

/// What the histories of some seeds showed.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// How many there were.
    pub histories: u64,
    /// The seeds of those that went wrong, with what was wrong.
    pub wrong: BTreeMap<u64, Vec<String>>,
    counts: BTreeMap<String, u64>,
    looked_at: BTreeMap<Invariant, u64>,
    excepted: BTreeMap<Exception, u64>,
}

fn add<K: Ord>(to: &mut BTreeMap<K, u64>, more: BTreeMap<K, u64>) {
    for (what, count) in more {
        *to.entry(what).or_default() += count;
    }
}

impl Report {
    /// Lets the histories of these seeds happen, shared out among all cores.
    ///
    /// # Panics
    /// If a history does.
    pub fn of_range(common: &SdkConfig, seeds: Range<u64>) -> Self {
        let next = AtomicU64::new(seeds.start);
        let drawn = || iter::from_fn(|| Some(next.fetch_add(1, Ordering::Relaxed)).filter(|seed| seeds.contains(seed)));
        let cores = thread::available_parallelism().map_or(1, usize::from);
        thread::scope(|scope| {
            let threads: Vec<_> = (0..cores).map(|_| scope.spawn(|| Self::of(common, drawn()))).collect();
            let reports = threads.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic)));
            reports.fold(Self::default(), Self::and)
        })
    }

    /// Lets the histories of these seeds happen.
    fn of(common: &SdkConfig, seeds: impl Iterator<Item = u64>) -> Self {
        let mut report = Self::default();
        for seed in seeds {
            let outcome = happen(common, &Program::drawn(seed), seed);
            report.histories += 1;
            add(&mut report.counts, outcome.counts);
            add(&mut report.looked_at, outcome.findings.looked_at);
            add(&mut report.excepted, outcome.findings.excepted);
            if !outcome.findings.violations.is_empty() {
                report.wrong.insert(seed, outcome.findings.violations);
            }
        }
        report
    }

    /// Both.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.histories += other.histories;
        self.wrong.extend(other.wrong);
        add(&mut self.counts, other.counts);
        add(&mut self.looked_at, other.looked_at);
        add(&mut self.excepted, other.excepted);
        self
    }

    /// How often each call was made and met each fault, how often each invariant was looked at, and what was excepted.
    pub fn table(&self) -> String {
        let count = |what: &str| self.counts.get(what).copied().unwrap_or_default();
        let mut table = ACTIONS.iter().fold(String::new(), |mut table, call| {
            let faults = FAULTS.map(|fault| format!("{fault:?} {}", count(&format!("{call} {fault:?}"))));
            let _ = writeln!(table, "simulation: {call} {}, {}", count(call), faults.join(", "));
            table
        });
        let looked_at =
            INVARIANTS.map(|one| format!("{one:?} {}", self.looked_at.get(&one).copied().unwrap_or_default()));
        let excepted =
            EXCEPTIONS.map(|one| format!("{one:?} {}", self.excepted.get(&one).copied().unwrap_or_default()));
        let _ = writeln!(table, "simulation: looked at {}", looked_at.join(", "));
        let _ = writeln!(table, "simulation: excepted {}", excepted.join(", "));
        let _ = writeln!(table, "simulation: {} histories, {} wrong", self.histories, self.wrong.len());
        table
    }

    /// What never happened: a fault of a call, an invariant that could have been broken. The exceptions are rare.
    pub fn never_met(&self) -> Vec<String> {
        let pairs = ACTIONS.iter().flat_map(|call| FAULTS.map(|fault| format!("{call} {fault:?}")));
        let pairs = pairs.filter(|pair| !self.counts.contains_key(pair));
        let invariants = INVARIANTS.iter().filter(|one| !self.looked_at.contains_key(one));
        pairs.chain(invariants.map(|one| format!("{one:?}"))).collect()
    }

    /// The first of the histories that went wrong, in their smallest form.
    pub fn told(&self, common: &SdkConfig) -> String {
        let wrong = &self.wrong;
        let first: Vec<String> = wrong.iter().take(TOLD).map(|(seed, what)| told(common, *seed, what)).collect();
        let how = "to keep one: put its first lines into the list of histories_that_once_failed_now_pass";
        format!("{}{} of {} that went wrong, as small as they get; {how}\n", first.concat(), first.len(), wrong.len())
    }
}

/// The log of a history in one number.
pub fn digest(common: &SdkConfig, seed: u64) -> u64 {
    let mut hasher = DefaultHasher::new();
    happen(common, &Program::drawn(seed), seed).log.hash(&mut hasher);
    hasher.finish()
}

/// The smallest program that still goes wrong with a seed: fewer calls, a kinder AWS.
fn shrunk(common: &SdkConfig, seed: u64) -> Program {
    let is_wrong = |program: &Program| !happen(common, program, seed).findings.violations.is_empty();
    let mut program = Program::drawn(seed);
    loop {
        let without = (0..program.calls.len()).map(|number| {
            let mut smaller = program.clone();
            smaller.calls.remove(number);
            smaller
        });
        let kind = program.kind;
        let kinder = [
            Kind { faults: KINDEST.faults, ..kind },
            Kind { full: KINDEST.full, ..kind },
            Kind { lag: KINDEST.lag, ..kind },
            Kind { steady: KINDEST.steady, ..kind },
            Kind { mismatch_succeeds: KINDEST.mismatch_succeeds, ..kind },
            Kind { image_moves_at: KINDEST.image_moves_at, ..kind },
            Kind { tokens: KINDEST.tokens, ..kind },
            Kind { failures_bind: KINDEST.failures_bind, ..kind },
            Kind { bucket: KINDEST.bucket, ..kind },
            Kind { retries: KINDEST.retries, ..kind },
        ];
        let kinder = kinder.into_iter().filter(|other| *other != kind);
        let kinder = kinder.map(|kind| Program { kind, ..program.clone() });
        let Some(smaller) = without.chain(kinder).find(is_wrong) else { return program };
        program = smaller;
    }
}

/// A history that went wrong: as a test to paste, what is wrong, and all that happened. It must be the same each time.
fn told(common: &SdkConfig, seed: u64, found: &[String]) -> String {
    let program = shrunk(common, seed);
    let [outcome, again] = [(); 2].map(|()| happen(common, &program, seed));
    let kind = format!("{:?}", program.kind).replace("tokens: ", "tokens: Tokens::");
    let mut text = format!("(\n    {seed},\n    {kind},\n    vec![\n");
    for (at, call) in &program.calls {
        let call = format!("{call:?}").replace('[', "vec![");
        let _ = writeln!(text, "        ({at}, Call::{call}),");
    }
    let same = match outcome.log == again.log && !outcome.findings.violations.is_empty() {
        true => "when it happened again, all was the same",
        false => "WHEN IT HAPPENED AGAIN, IT WAS ANOTHER HISTORY: something here has a clock or chance of its own",
    };
    let violations = outcome.findings.violations.join("\n");
    let found = found.join("\n");
    format!(
        "{text}    ],\n),\nas it was found: {found}\nas small as it gets: {violations}\n{same}\n{}\n\n",
        outcome.log.join("\n")
    )
}
