//! `make scale`: fleets of several sizes in the simulated AWS with AWS's limits.

#![expect(clippy::print_stderr, clippy::print_stdout, reason = "a program for a terminal")]

use std::env;
use std::process::ExitCode;
use std::time::Instant;

use tests::fleet::{Scene, happen};
use tests::simulation::{Limits, common};

/// The fleets: workers, and regions.
const FLEETS: [(usize, usize); 5] = [(10, 10), (100, 10), (1_000, 10), (1_000, 1), (10_000, 10)];

fn number(name: &str, otherwise: usize) -> Result<usize, String> {
    let text = env::var(name).unwrap_or_default();
    if text.is_empty() {
        return Ok(otherwise);
    }
    text.parse()
        .ok()
        .filter(|number| *number > 0)
        .ok_or_else(|| format!("{name} is {text:?} but must be a number from 1"))
}

fn main() -> ExitCode {
    match fleets() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn fleets() -> Result<ExitCode, String> {
    let (workers, regions, readers) = (number("WORKERS", 0)?, number("REGIONS", 10)?, number("READERS", 10)?);
    let ids_are_a_filter = env::var("IDS").is_ok_and(|text| text == "filter");
    let limits = Limits { ids_are_a_filter, divided_by: u64::try_from(number("DIVIDED_BY", 1)?).unwrap_or(1) };
    let fleets = if workers == 0 { FLEETS.to_vec() } else { vec![(workers, regions)] };
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
    let common = runtime.block_on(common());
    let mut is_wrong = false;
    for (workers, regions) in fleets {
        let start = Instant::now();
        let outcome = happen(&common, Scene { workers, regions, limits, readers });
        is_wrong |= !outcome.wrong.is_empty();
        print!("{}", outcome.table());
        println!("  simulated in {} s\n", start.elapsed().as_secs());
    }
    Ok(if is_wrong { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
