//! `make soak`: every function, warm, for 20,000 invocations with faults mixed in.

#![expect(clippy::print_stdout, reason = "a program for a terminal")]

use std::env;
use std::process::ExitCode;

use shared::ops::OPERATIONS;
use tests::soak::{Report, soak};
use tests::stack::{Result, local_folder};
use tokio::task::JoinSet;

const INVOCATIONS: usize = 20_000;

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let invocations = match env::var("INVOCATIONS") {
        Ok(number) if !number.is_empty() => number.parse()?,
        _ => INVOCATIONS,
    };
    let folder = local_folder()?.join(format!("soak-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    println!("{} functions of target/debug, one process each, {invocations} invocations each", OPERATIONS.len());
    let mut running = JoinSet::new();
    for operation in OPERATIONS {
        let folder = folder.clone();
        running.spawn(async move { soak(&folder, operation.name, invocations).await });
    }
    let mut wrongs = Vec::new();
    println!("{:36} {:>7} {:>8} {:>8} {:>6}  answers by status", "function", "faults", "KiB", "at end", "ratio");
    while let Some(report) = running.join_next().await {
        let report = report??;
        print(&report);
        wrongs.extend(report.wrongs());
    }
    println!("{}", if wrongs.is_empty() { "no panic, no growth".to_owned() } else { wrongs.join("\n") });
    if wrongs.is_empty() {
        std::fs::remove_dir_all(&folder)?;
        return Ok(ExitCode::SUCCESS);
    }
    println!("logs: {}", folder.display());
    Ok(ExitCode::FAILURE)
}

fn print(report: &Report) {
    let Report { operation, faults, early, late, statuses, .. } = report;
    println!("{operation:36} {faults:>7} {early:>8} {late:>8} {:>6.3}  {statuses:?}", report.growth());
}
