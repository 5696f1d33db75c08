//! `make simulate`: many histories of the simulation, on all cores. What is done is written down; a run that was ended goes on there.

#![expect(clippy::print_stderr, clippy::print_stdout, reason = "a program for a terminal")]

use std::env;
use std::fs;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use tests::simulation::{Report, common};
use tests::stack::repository;

/// Histories between two looks at what is done.
const BLOCK: u64 = 5_000;

fn number(name: &str) -> Option<u64> {
    env::var(name).ok().and_then(|text| text.parse().ok())
}

fn main() -> ExitCode {
    let histories = number("HISTORIES").unwrap_or(100_000);
    let done = repository().join("target/simulation-done");
    let begin = number("FROM").or_else(|| fs::read_to_string(&done).ok()?.trim().parse().ok()).unwrap_or(0);
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        eprintln!("error: there is no runtime");
        return ExitCode::FAILURE;
    };
    let (common, start) = (runtime.block_on(common()), Instant::now());
    let mut report = Report::default();
    for block in (begin..histories).step_by(usize::try_from(BLOCK).unwrap_or(usize::MAX)) {
        report = report.and(block_of(&common, block, (block + BLOCK).min(histories)));
        let (seconds, wrong) = (start.elapsed().as_secs(), report.wrong.len());
        println!("simulation: histories {begin} to {} in {seconds} s, {wrong} wrong", begin + report.histories);
        if !report.wrong.is_empty() {
            print!("{}", report.told(&common));
            return ExitCode::FAILURE;
        }
        // Without it the next run begins anew, and does no harm.
        let _ = fs::write(&done, (block + BLOCK).to_string());
    }
    print!("{}", report.table());
    let _ = fs::remove_file(done);
    ExitCode::SUCCESS
}

/// The histories of these seeds, shared out among all cores.
fn block_of(common: &aws_config::SdkConfig, from: u64, to: u64) -> Report {
    let next = AtomicU64::new(from);
    let seeds = || std::iter::from_fn(|| Some(next.fetch_add(1, Ordering::Relaxed)).filter(|seed| *seed < to));
    let cores = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let threads: Vec<_> = (0..cores).map(|_| scope.spawn(|| Report::of(common, seeds()))).collect();
        let reports = threads.into_iter().filter_map(|thread| thread.join().ok());
        reports.fold(Report::default(), Report::and)
    })
}
