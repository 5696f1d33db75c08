//! `make stories`: many stories of workers in the simulated AWS.

#![expect(clippy::print_stderr, clippy::print_stdout, reason = "a program for a terminal")]

use std::env;
use std::process::ExitCode;
use std::time::Instant;

use tests::stories::Report;

/// Stories between two lines of progress.
const BLOCK: u64 = 50;

fn number(name: &str, otherwise: u64) -> Result<u64, String> {
    let text = env::var(name).unwrap_or_default();
    if text.is_empty() {
        return Ok(otherwise);
    }
    text.parse().map_err(|_| format!("{name} is {text:?} but must be a whole number"))
}

fn main() -> ExitCode {
    match stories() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn stories() -> Result<ExitCode, String> {
    let (from, to) = (number("FROM", 0)?, number("STORIES", 1_000)?);
    if from >= to {
        return Err(format!(
            "FROM is {from} and STORIES is {to}: STORIES is the seed at which the run ends, so it must be larger than FROM"
        ));
    }
    let start = Instant::now();
    let mut report = Report::default();
    for block in (from..to).step_by(usize::try_from(BLOCK).unwrap_or(usize::MAX)) {
        let end = (block + BLOCK).min(to);
        report = report.and(Report::of_range(block..end));
        println!("stories: {from} to {end} of {to} in {} s, {} wrong", start.elapsed().as_secs(), report.wrong.len());
    }
    print!("{}", report.table());
    Ok(if report.wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
