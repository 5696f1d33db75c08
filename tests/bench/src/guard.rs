//! `make bench-guard`: how many instructions the init and one warm call of each function take.
//!
//! Times differ from run to run by more than what a careless change costs; valgrind's count of instructions does not. It is
//! compared with the committed one in both directions, so that what was won is written down too.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write;
use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

use crate::machine::processor;
use crate::run::Bench;
use crate::settings::Settings;
use crate::variant::{Variant, functions};
use crate::{Result, repository};

/// By how much a count may differ, in percent.
const BOUND: u64 = 3;
/// How often a process is counted, to keep the least: what disturbs it makes it do more.
const TIMES: usize = 3;
/// Cachegrind without its caches counts instructions, as callgrind does, in half the time.
const VALGRIND: [&str; 4] = ["valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"];
/// How many warm calls the count of one is an average of.
const CALLS: usize = 5;

/// The counts of one function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Counts {
    /// From the start of the process to its first request for an event.
    init: u64,
    /// Of a call that is not the first one.
    warm: u64,
}

impl Counts {
    /// The counts of a row out of those of processes that answered no event, one event, and [`CALLS`] more.
    fn of([none, one, more]: [u64; 3]) -> Self {
        Self { init: none, warm: more.saturating_sub(one) / CALLS as u64 }
    }
}

/// The counts by the name of the row.
type Table = BTreeMap<String, Counts>;

/// Where the counts are committed.
fn file() -> PathBuf {
    repository().join("tests/bench/instructions.tsv")
}

/// Whether there is a valgrind.
///
/// # Errors
/// There is none.
pub fn check_valgrind() -> Result<()> {
    let found = Command::new("valgrind").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if found.is_ok_and(|status| status.success()) {
        return Ok(());
    }
    Err("valgrind is missing, and nothing was counted: install it (Debian: apt install valgrind)".into())
}

/// Counts every row, and compares the counts with the committed ones, or writes those anew.
///
/// # Errors
/// There is no valgrind, no committed count, or a function does not run under valgrind.
#[expect(clippy::print_stdout, reason = "what `make bench-guard` tells")]
pub async fn count(write: bool) -> Result<ExitCode> {
    check_valgrind()?;
    let bench = Bench::new(Settings::from_env()?)?;
    let variants = functions(&bench.settings.operations)?;
    let committed = read(write)?;
    if write && !bench.settings.operations.is_empty() && other_surroundings().is_some() {
        return Err("WRITE=1 with OPERATIONS would mix these counts with counts of another machine: count all".into());
    }
    let (mut counted, mut wrong) = (Table::new(), 0);
    println!("{:40} {:>12} {:>12}", "instructions of", "init", "a warm call");
    for variant in &variants {
        let before = committed.get(&variant.name).copied().filter(|_| !write);
        let counts = count_row(&bench, variant, before).await?;
        println!("{:40} {:>12} {:>12}", variant.name, counts.init, counts.warm);
        counted.insert(variant.name.clone(), counts);
        for difference in told(before, counts).into_iter().filter(|_| !write) {
            println!("  {difference}");
            wrong += 1;
        }
    }
    if write {
        // Rows that were not counted now stay as they are.
        let kept = committed.into_iter().filter(|_| !bench.settings.operations.is_empty());
        fs::write(file(), text(&kept.chain(counted).collect()))?;
        return Ok(ExitCode::SUCCESS);
    }
    if wrong == 0 {
        println!("every count is within {BOUND} % of {}", file().display());
        return Ok(ExitCode::SUCCESS);
    }
    println!("{wrong} counts differ from {}; make bench-guard WRITE=1 writes it anew", file().display());
    if let Some(other) = other_surroundings() {
        println!("The file was {other}. That alone may be the difference.");
    }
    Ok(ExitCode::FAILURE)
}

/// Counts a row, and again if it differs from what is committed.
async fn count_row(bench: &Bench, variant: &Variant, committed: Option<Counts>) -> Result<Counts> {
    let mut least = [u64::MAX; 3];
    for _ in 0..TIMES {
        for (least, events) in least.iter_mut().zip([0, 1, 1 + CALLS]) {
            *least = instructions(bench, variant, events).await?.min(*least);
        }
        if told(committed, Counts::of(least)).is_empty() {
            break;
        }
    }
    Ok(Counts::of(least))
}

/// The instructions of a process that answers so many events and then waits for another one. Valgrind makes a function so slow
/// that it can run into its own timeouts on a busy machine: then it is started again.
async fn instructions(bench: &Bench, variant: &Variant, events: usize) -> Result<u64> {
    let mut tried = 1;
    loop {
        match try_instructions(bench, variant, events).await {
            Err(_) if tried < TIMES => tried += 1,
            counted => return counted.map_err(|error| format!("{}: {error}", variant.name).into()),
        }
    }
}

async fn try_instructions(bench: &Bench, variant: &Variant, events: usize) -> Result<u64> {
    let mut running = bench.start(variant, &VALGRIND.map(OsString::from), events)?;
    // The last request for an event is not answered: with it, what follows the last answer is counted, too.
    running.until(|progress| progress.asked > events).await?;
    if events > 0 {
        running.until_answered(events).await?;
    } else if running.aws.connections() == 0 {
        // On a busy machine valgrind is too slow for it, and then the first event pays for it.
        return Err("the init ended without its connection".into());
    }
    running.process.terminate()?;
    let log = running.process.log();
    counted(&log).ok_or_else(|| format!("valgrind counted nothing:\n{log}").into())
}

/// The number in cachegrind's line `==1234== I refs: 5,678`.
fn counted(log: &str) -> Option<u64> {
    let line = log.lines().rev().find(|line| line.contains(" I ") && line.contains(" refs:"))?;
    line.rsplit_once(' ')?.1.replace(',', "").parse().ok()
}

/// What differs by more than the bound, in words.
fn differences(committed: Counts, counted: Counts) -> Vec<String> {
    let pairs = [("init", committed.init, counted.init), ("a warm call", committed.warm, counted.warm)];
    let differs = |(_, committed, counted): &(_, u64, u64)| committed.abs_diff(*counted) * 100 > committed * BOUND;
    let told = |(what, committed, counted)| {
        format!("{what} takes {counted} instructions, {:+.1} % of {committed}", percent(committed, counted))
    };
    pairs.into_iter().filter(differs).map(told).collect()
}

/// What is wrong with the counts of a row, in words.
fn told(committed: Option<Counts>, counted: Counts) -> Vec<String> {
    match committed {
        Some(committed) => differences(committed, counted),
        None => vec!["no counts of it are committed".to_owned()],
    }
}

/// How much more was counted than is committed, in percent.
#[expect(clippy::cast_precision_loss, reason = "fewer than 2^52 instructions")]
fn percent(committed: u64, counted: u64) -> f64 {
    (counted as f64 / committed.max(1) as f64 - 1.0) * 100.0
}

/// The committed table; an empty one if there is none and it `may_be_missing`.
fn read(may_be_missing: bool) -> Result<Table> {
    match fs::read_to_string(file()) {
        Err(error) if may_be_missing && error.kind() == ErrorKind::NotFound => Ok(Table::new()),
        Err(error) => Err(format!("{}: {error}; make bench-guard WRITE=1 writes it", file().display()).into()),
        Ok(text) => parsed(&text),
    }
}

fn parsed(text: &str) -> Result<Table> {
    let row = |line: &str| -> Result<(String, Counts)> {
        let cells: Vec<&str> = line.split('\t').collect();
        let [name, init, warm] = cells[..] else { return Err(format!("{line:?} has not three cells").into()) };
        Ok((name.to_owned(), Counts { init: init.parse()?, warm: warm.parse()? }))
    };
    text.lines().filter(|line| !line.starts_with('#')).skip(1).map(row).collect()
}

/// The text of a table, with what counted it: another compiler, valgrind, C library or processor can count differently.
fn text(table: &Table) -> String {
    let mut text = format!("# Written by `make bench-guard WRITE=1`. Counted with {}.\n", surroundings());
    text += "row\tinit\twarm call\n";
    for (name, counts) in table {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{name}\t{}\t{}", counts.init, counts.warm);
    }
    text
}

/// What the committed table was counted with, if that is not what counts now.
fn other_surroundings() -> Option<String> {
    let text = fs::read_to_string(file()).ok()?;
    let counted_with = text.lines().next()?.split_once("Counted with ")?.1.trim_end_matches('.').to_owned();
    (counted_with != surroundings()).then(|| format!("counted with {counted_with}, and now with {}", surroundings()))
}

fn surroundings() -> String {
    let first_line = |program: &str, argument: &str| {
        let output = Command::new(program).arg(argument).output().map(|output| output.stdout).unwrap_or_default();
        String::from_utf8_lossy(&output).lines().next().unwrap_or_default().to_owned()
    };
    let libc = first_line("ldd", "--version");
    let libc = libc.rsplit(' ').next().unwrap_or_default();
    let [rustc, valgrind] = ["rustc", "valgrind"].map(|program| first_line(program, "--version"));
    format!("{rustc}, {valgrind}, glibc {libc}, {}", processor())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_percent_in_either_direction_are_a_difference() {
        let of = |init, warm| differences(Counts { init: 1000, warm: 100_000 }, Counts { init, warm });
        assert_eq!(of(1030, 97_000), Vec::<String>::new());
        assert_eq!(of(1031, 100_000), ["init takes 1031 instructions, +3.1 % of 1000"]);
        assert_eq!(of(1000, 96_900), ["a warm call takes 96900 instructions, -3.1 % of 100000"]);
        assert_eq!(of(500, 200_000).len(), 2);
    }

    #[test]
    fn the_count_is_read_from_valgrinds_own_line() {
        assert_eq!(counted("==7== \n==7== I   refs:      4,567,890\n==7== \n"), Some(4_567_890));
        assert_eq!(counted("==7== I refs: 12\n"), Some(12));
        assert_eq!(counted("==7== Process terminating with default action of signal 15\n"), None);
    }

    #[test]
    fn a_table_is_read_back_as_it_was_written() {
        let table = Table::from([("health".to_owned(), Counts { init: 5, warm: 7 })]);
        assert_eq!(parsed(&text(&table)).unwrap(), table);
        assert!(parsed("row\tinit\twarm call\nhealth\t5\n").is_err());
    }
}
