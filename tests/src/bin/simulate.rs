//! `make simulate`: many histories of the simulation, on all cores. What is done is written down for this very program; a run
//! that was ended goes on there.

#![expect(clippy::print_stderr, clippy::print_stdout, reason = "a program for a terminal")]

use std::env;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use tests::simulation::{Report, common};
use tests::stack::repository;

/// Histories between two looks at what is done.
const BLOCK: u64 = 5_000;

/// The number in a variable; `otherwise` if it is not given.
fn number(name: &str, otherwise: u64) -> Result<u64, String> {
    match env::var(name) {
        Ok(text) if !text.is_empty() => {
            text.parse().map_err(|_| format!("{name} is {text:?} but must be a whole number"))
        }
        _ => Ok(otherwise),
    }
}

/// Where it is written down how far this very program has come: another one begins anew.
fn progress() -> Result<PathBuf, String> {
    let program =
        env::current_exe().and_then(fs::read).map_err(|error| format!("this program cannot be read: {error}"))?;
    let mut hasher = DefaultHasher::new();
    program.hash(&mut hasher);
    Ok(repository().join(format!("target/simulated-{:016x}", hasher.finish())))
}

fn main() -> ExitCode {
    match simulate() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn simulate() -> Result<ExitCode, String> {
    let histories = number("HISTORIES", 100_000)?;
    let progress = progress()?;
    let done = fs::read_to_string(&progress).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0);
    let begin = number("FROM", done)?;
    if begin >= histories {
        let how = format!("make simulate FROM=0 HISTORIES={histories}");
        return Err(format!("{begin} histories are done and HISTORIES is {histories}: give a larger number, or {how}"));
    }
    if begin > 0 {
        println!("simulation: going on at history {begin}");
    }
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
    let (common, start) = (runtime.block_on(common()), Instant::now());
    let mut report = Report::default();
    for block in (begin..histories).step_by(usize::try_from(BLOCK).unwrap_or(usize::MAX)) {
        let end = (block + BLOCK).min(histories);
        report = report.and(Report::of_range(&common, block..end));
        let (seconds, wrong) = (start.elapsed().as_secs(), report.wrong.len());
        println!("simulation: histories {begin} to {end} of {histories} in {seconds} s, {wrong} wrong");
        if !report.wrong.is_empty() {
            print!("{}", report.told(&common));
            println!("simulation: to see it again: make simulate FROM={block} HISTORIES={end}");
            let _ = fs::remove_file(progress);
            return Ok(ExitCode::FAILURE);
        }
        // Without it the next run begins anew, and does no harm.
        let _ = fs::write(&progress, end.to_string());
    }
    print!("{}", report.table());
    let _ = fs::remove_file(progress);
    Ok(ExitCode::SUCCESS)
}
