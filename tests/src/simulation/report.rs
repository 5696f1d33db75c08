//! What many histories showed, and the smallest form of one that went wrong.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use aws_config::SdkConfig;

use super::aws::{FAULTS, Kind};
use super::history::{Program, happen};

/// The calls that the histories' operations make.
const CALLS: [&str; 6] =
    ["DescribeImages", "DescribeInstances", "RunInstances", "StartInstances", "StopInstances", "TerminateInstances"];

/// How many histories that went wrong are told.
const TOLD: usize = 3;

/// What the histories of some seeds showed.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// How many there were.
    pub histories: u64,
    /// The seeds of those that went wrong.
    pub wrong: Vec<u64>,
    counts: BTreeMap<String, u64>,
}

impl Report {
    /// Lets the histories of these seeds happen.
    pub fn of(common: &SdkConfig, seeds: impl Iterator<Item = u64>) -> Self {
        let mut report = Self::default();
        for seed in seeds {
            let outcome = happen(common, &Program::drawn(seed), seed);
            report.histories += 1;
            for (what, count) in outcome.counts {
                *report.counts.entry(what).or_default() += count;
            }
            if !outcome.violations.is_empty() {
                report.wrong.push(seed);
            }
        }
        report
    }

    /// Both.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.histories += other.histories;
        self.wrong.extend(other.wrong);
        for (what, count) in other.counts {
            *self.counts.entry(what).or_default() += count;
        }
        self
    }

    /// A line each call: how often it was made, and how often it met each fault.
    pub fn table(&self) -> String {
        let count = |what: &str| self.counts.get(what).copied().unwrap_or_default();
        CALLS.iter().fold(String::new(), |mut table, call| {
            let faults = FAULTS.map(|fault| format!("{fault:?} {}", count(&format!("{call} {fault:?}"))));
            let _ = writeln!(table, "simulation: {call} {}, {}", count(call), faults.join(", "));
            table
        })
    }

    /// The faults that no call of a kind met.
    pub fn never_met(&self) -> Vec<String> {
        let pairs = CALLS.iter().flat_map(|call| FAULTS.map(|fault| format!("{call} {fault:?}")));
        pairs.filter(|pair| !self.counts.contains_key(pair)).collect()
    }

    /// The first of the histories that went wrong, in their smallest form.
    pub fn told(&self, common: &SdkConfig) -> String {
        self.wrong.iter().take(TOLD).map(|seed| told(common, *seed)).collect()
    }
}

/// The smallest program that still goes wrong with a seed: fewer calls, a kinder EC2.
pub fn shrunk(common: &SdkConfig, seed: u64) -> Program {
    let is_wrong = |program: &Program| !happen(common, program, seed).violations.is_empty();
    let mut program = Program::drawn(seed);
    loop {
        let without = (0..program.calls.len()).map(|number| {
            let mut smaller = program.clone();
            smaller.calls.remove(number);
            smaller
        });
        let kind = program.kind;
        let kinder = [
            Kind { faults: 0, ..kind },
            Kind { full: 0, ..kind },
            Kind { lag: 0, ..kind },
            Kind { image_moves_at: 0, ..kind },
            Kind { zonal_tokens: false, ..kind },
            Kind { failures_bind: false, ..kind },
        ];
        let kinder = kinder.into_iter().filter(|other| *other != kind);
        let kinder = kinder.map(|kind| Program { kind, ..program.clone() });
        let Some(smaller) = without.chain(kinder).find(is_wrong) else { return program };
        program = smaller;
    }
}

fn told(common: &SdkConfig, seed: u64) -> String {
    let program = shrunk(common, seed);
    let outcome = happen(common, &program, seed);
    let mut text = format!("let program = Program {{ kind: {:?}, calls: vec![\n", program.kind);
    for (at, call) in &program.calls {
        let _ = writeln!(text, "    ({at}, Call::{call:?}),");
    }
    format!("{text}]}}; // seed {seed}\n{}\n{}\n\n", outcome.violations.join("\n"), outcome.log.join("\n"))
}
