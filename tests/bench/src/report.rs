//! The tables, as Markdown for a terminal and for `docs/PERFORMANCE.md`, and all numbers as JSON.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use serde::Serialize;
use serde_json::{Value, json};

use crate::Result;
use crate::figures::{Spread, count, megabytes};
use crate::machine::{date, processor};
use crate::rounds::Samples;
use crate::sample::Sample;
use crate::sizes::Sizes;
use crate::variant::{BOTO3, BOTO3_LIST, Program, Variant};

/// The row that all others are compared with.
const HELLO: &str = "hello";

/// What a table says about itself.
#[derive(Clone, Debug, Serialize)]
pub struct Heading {
    /// The day.
    pub date: String,
    /// The command that measured.
    pub command: String,
    /// The processor, and how many cores of it there are.
    pub machine: String,
    /// How often each row was measured.
    pub rounds: usize,
    /// How a connection came about.
    pub connection: String,
}

impl Heading {
    /// The heading of a run that begins now.
    #[must_use]
    pub fn new(rounds: usize, command: String, connection: String) -> Self {
        let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
        Self { date: date(), command, machine: format!("{cores} cores, {}", processor()), rounds, connection }
    }
}

/// All that was measured.
#[derive(Debug)]
pub struct Report<'a> {
    /// What the tables say about themselves.
    pub heading: Heading,
    /// The rows.
    pub variants: &'a [Variant],
    /// Their samples.
    pub samples: &'a Samples,
    /// How large the binaries are.
    pub sizes: &'a Sizes,
    /// What could not be measured, and why.
    pub missing: &'a [String],
}

impl Report<'_> {
    /// The tables.
    #[must_use]
    pub fn markdown(&self) -> String {
        let Heading { date, command, machine, rounds, connection } = &self.heading;
        let mut text = format!(
            "Measured on {date} with `{command}` on {machine}: {rounds} rounds, medians with the least and the most in \
             parentheses. {connection}\n"
        );
        for missing in self.missing {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "\nNot measured: {missing}");
        }
        text += &self.table("Time, in milliseconds", &TIMES);
        text += &self.table("What it takes", &RESOURCES);
        text + &self.wire()
    }

    fn table(&self, title: &str, columns: &[Column]) -> String {
        let heads: Vec<&str> = columns.iter().map(|column| column.head).collect();
        let mut text =
            format!("\n**{title}**\n\n| | {} |\n|---|{}\n", heads.join(" | "), "---:|".repeat(columns.len()));
        for variant in self.variants {
            let cells: Vec<String> = columns.iter().map(|column| (column.cell)(self, variant)).collect();
            let _ = writeln!(text, "| {} | {} |", variant.name, cells.join(" | "));
        }
        text
    }

    /// The rows that have no process: the wire by itself.
    fn wire(&self) -> String {
        let of = |name: &str, figure: fn(&Sample) -> Option<f64>| spread(self.samples.spread(name, figure), 2);
        let rows = [
            ("a connection and one call", of("sdk-defaults", |sample| sample.bare_connect_ms)),
            ("DescribeInstances of 1 instance, on an open connection", of("sdk-defaults", |sample| sample.bare_ms)),
            (
                "DescribeInstances of 1,000 instances, on an open connection",
                of("get-all-instances, 1,000 instances", |sample| sample.bare_ms),
            ),
        ];
        let mut text = "\n**The wire alone, in milliseconds**\n\n| | |\n|---|---:|\n".to_owned();
        for (name, cell) in rows.iter().filter(|(_, cell)| cell != NOTHING) {
            let _ = writeln!(text, "| {name} | {cell} |");
        }
        text
    }

    /// Every number, by row and round.
    #[must_use]
    pub fn json(&self) -> Value {
        json!({"heading": self.heading, "samples": self.samples, "sizes": self.sizes, "missing": self.missing})
    }

    fn of(&self, variant: &Variant, figure: impl Fn(&Sample) -> Option<f64>, digits: usize) -> String {
        spread(self.samples.spread(&variant.name, figure), digits)
    }
}

/// What a cell says of which there is no figure.
const NOTHING: &str = "–";

struct Column {
    head: &'static str,
    cell: fn(&Report<'_>, &Variant) -> String,
}

const TIMES: [Column; 9] = [
    Column { head: "init", cell: |all, row| all.of(row, |sample| Some(sample.init_ms), 1) },
    Column { head: "start to first answer", cell: |all, row| all.of(row, |sample| Some(sample.first_answer_ms), 1) },
    Column {
        head: "× hello",
        cell: |all, row| spread(all.samples.ratio(&row.name, HELLO, |sample| sample.first_answer_ms), 2),
    },
    Column { head: "first invocation", cell: |all, row| all.of(row, |sample| Some(sample.first_invocation_ms), 1) },
    Column { head: "warm, p50", cell: |all, row| all.of(row, |sample| Some(sample.warm_p50_ms), 2) },
    Column { head: "warm, p99", cell: |all, row| all.of(row, |sample| Some(sample.warm_p99_ms), 2) },
    Column { head: "wire alone", cell: |all, row| all.of(row, |sample| sample.bare_ms, 2) },
    Column { head: "overhead", cell: |all, row| all.of(row, Sample::overhead_ms, 2) },
    Column { head: "boto3 takes", cell: |all, row| times_faster(all, row) },
];

const RESOURCES: [Column; 7] = [
    Column { head: "AWS calls, first", cell: |all, row| all.of(row, |sample| Some(count(sample.cold_calls)), 0) },
    Column { head: "AWS calls, warm", cell: |all, row| all.of(row, |sample| Some(count(sample.warm_calls)), 0) },
    Column { head: "CPU to first answer, ms", cell: |all, row| all.of(row, |sample| Some(sample.cold_cpu_ms), 1) },
    Column { head: "CPU of a warm call, ms", cell: |all, row| all.of(row, |sample| Some(sample.warm_cpu_ms), 2) },
    Column { head: "peak memory, MB", cell: |all, row| all.of(row, |sample| Some(sample.peak_mb), 1) },
    Column { head: "binary, MB", cell: |all, row| size(all, row, |size| size.binary) },
    Column { head: "zip, MB", cell: |all, row| size(all, row, |size| size.zip) },
];

/// How much longer boto3 takes for the first answer, and for a warm one.
fn times_faster(all: &Report<'_>, row: &Variant) -> String {
    if row.program != Program::Function {
        return NOTHING.to_owned();
    }
    let boto3 = if row.instances >= 1000 { BOTO3_LIST } else { BOTO3 };
    let ratio = |figure: fn(&Sample) -> f64| all.samples.ratio(boto3, &row.name, figure).map(|ratio| ratio.median);
    match (ratio(|sample| sample.first_answer_ms), ratio(|sample| sample.warm_p50_ms)) {
        (Some(first), Some(warm)) => format!("{first:.0} ×, warm {warm:.1} ×"),
        _ => NOTHING.to_owned(),
    }
}

fn size(all: &Report<'_>, row: &Variant, of: fn(&crate::sizes::Size) -> u64) -> String {
    let name = match row.program {
        Program::Function => row.operation.as_str(),
        Program::Yardstick(name) => name,
        Program::Python(_) => return NOTHING.to_owned(),
    };
    all.sizes.get(name).map_or(NOTHING.to_owned(), |size| format!("{:.2}", megabytes(of(size))))
}

fn spread(spread: Option<Spread>, digits: usize) -> String {
    match spread {
        Some(Spread { median, min, max }) if min == max => format!("{median:.digits$}"),
        Some(Spread { median, min, max }) => format!("{median:.digits$} ({min:.digits$}–{max:.digits$})"),
        None => NOTHING.to_owned(),
    }
}

/// Puts the tables into a page, in place of those between its two marks.
///
/// # Errors
/// The page cannot be read or written, or has no marks.
pub fn write_into(page: &Path, tables: &str) -> Result<()> {
    let text = fs::read_to_string(page)?;
    let new =
        between_marks(&text, tables).ok_or_else(|| format!("{} has no marks {BEGIN} and {END}", page.display()))?;
    Ok(fs::write(page, new)?)
}

const BEGIN: &str = "<!-- make bench -->";
const END: &str = "<!-- end -->";

fn between_marks(text: &str, tables: &str) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n{tables}{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_has_the_median_and_what_it_lies_between() {
        let cell = |median, min, max| spread(Some(Spread { median, min, max }), 1);
        assert_eq!(cell(2.04, 1.96, 3.0), "2.0 (2.0–3.0)");
        assert_eq!(cell(2.0, 2.0, 2.0), "2.0");
        assert_eq!(spread(None, 1), NOTHING);
    }

    #[test]
    fn only_what_is_between_the_marks_is_written_anew() {
        let page = format!("before\n{BEGIN}\nold\n{END}\nafter\n");
        assert_eq!(between_marks(&page, "new\n").unwrap(), format!("before\n{BEGIN}\nnew\n{END}\nafter\n"));
        assert_eq!(between_marks("before and after", "new\n"), None);
    }
}
