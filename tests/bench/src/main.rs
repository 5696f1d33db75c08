//! `make bench`: measures every function beside its yardsticks, and prints the tables. `bench guard` counts instructions instead,
//! and `bench sustained` invokes two functions for long.

#![expect(clippy::print_stderr, clippy::print_stdout, reason = "a program for a terminal")]

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use bench::report::{Heading, Report, write_into};
use bench::rounds::Samples;
use bench::run::Bench;
use bench::settings::{Settings, number, text};
use bench::sizes::sizes;
use bench::sustained::{burst, markdown, sustained};
use bench::variant::{Program, Variant, functions, yardsticks};
use bench::{Result, guard, repository};
use futures_util::future::try_join_all;

/// The functions that run for long: one that reads, and one that launches.
const SUSTAINED: [&str; 2] = ["get-instance-details", "create-instance"];

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let done = match env::args().nth(1).as_deref() {
        None => measure().await,
        Some("check") => check(env::args().nth(2).as_deref()),
        Some("guard") => guard::count(text("WRITE").is_some()).await,
        Some("sustained") => invoke_for_long().await,
        Some(other) => Err(format!("{other} is none of check, guard and sustained").into()),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether what the caller said can be done: the builds take long.
fn check(program: Option<&str>) -> Result<ExitCode> {
    let settings = Settings::from_env()?;
    functions(&settings.operations)?;
    number::<usize>("SUSTAINED", 0)?;
    number::<usize>("BURST", 0)?;
    if program == Some("guard") {
        guard::check_valgrind()?;
    }
    if program.is_none() && text("WRITE").is_some() && !settings.operations.is_empty() {
        return Err("WRITE=1 writes the tables of all operations: leave out OPERATIONS".into());
    }
    Ok(ExitCode::SUCCESS)
}

async fn measure() -> Result<ExitCode> {
    let (bench, write) = (Bench::new(Settings::from_env()?)?, text("WRITE").is_some());
    let settings = &bench.settings;
    let (with_python, missing) = python(&settings.python);
    let variants = [yardsticks(with_python)?, functions(&settings.operations)?].concat();
    let sizes = sizes(&settings.python, &binaries(settings, &variants))?;
    let rounds = settings.rounds;
    let samples =
        Samples::measure(&bench, &variants, |round| eprintln!("bench: round {} of {rounds}", round + 1)).await?;
    let heading = Heading::new(rounds, command(settings), connection(settings, &samples));
    let report = Report { heading, variants: &variants, samples: &samples, sizes: &sizes, missing: &missing };
    let (tables, json) = (report.markdown(), settings.folder.join("bench.json"));
    fs::write(&json, serde_json::to_string_pretty(&report.json())?)?;
    println!("{tables}");
    println!("All numbers: {}", json.display());
    if write {
        write_into(&repository().join("docs/PERFORMANCE.md"), &tables)?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn invoke_for_long() -> Result<ExitCode> {
    let mut settings = Settings::from_env()?;
    settings.latency = Duration::from_millis(number("LATENCY_MS", 20)?);
    let bench = Bench::new(settings)?;
    let named = SUSTAINED.map(str::to_owned);
    let mut variants = functions(&named)?;
    variants.retain(|variant| variant.name == variant.operation);
    let invocations = number("SUSTAINED", 50_000)?;
    let runs = variants.iter().map(|variant| sustained(&bench, variant, invocations));
    let lasted = try_join_all(runs).await?;
    let mut bursts = Vec::new();
    for variant in yardsticks(false)?.iter().take(1).chain(&variants) {
        bursts.push(burst(&bench, variant, number("BURST", 100)?).await?);
    }
    println!("{}", markdown(&lasted, &bursts, bench.settings.latency));
    Ok(ExitCode::SUCCESS)
}

/// Whether Python has what the yardsticks need, and what is not measured if it has not.
fn python(python: &Path) -> (bool, Vec<String>) {
    let mut command = Command::new(python);
    command.args(["-c", "import awslambdaric, boto3"]).stderr(Stdio::null());
    if command.status().is_ok_and(|status| status.success()) {
        return (true, Vec::new());
    }
    (false, vec![format!("boto3, since {} has no awslambdaric and boto3", python.display())])
}

fn binaries(settings: &Settings, variants: &[Variant]) -> Vec<PathBuf> {
    let names = variants.iter().filter_map(|variant| match &variant.program {
        Program::Function => Some(variant.operation.as_str()),
        Program::Yardstick(name) => Some(*name),
        Program::Python(_) => None,
    });
    let mut binaries: Vec<PathBuf> = names.map(|name| settings.binaries.join(name)).collect();
    binaries.dedup();
    binaries
}

fn command(settings: &Settings) -> String {
    let mut command = format!("make bench ROUNDS={} WARM={}", settings.rounds, settings.warm);
    if !settings.latency.is_zero() {
        command += &format!(" LATENCY_MS={}", settings.latency.as_millis());
    }
    if !settings.operations.is_empty() {
        command += &format!(" OPERATIONS={}", settings.operations.join(","));
    }
    for name in ["BINARIES", "BENCH_PYTHON"] {
        command += &text(name).map(|value| format!(" {name}={value}")).unwrap_or_default();
    }
    command
}

fn connection(settings: &Settings, samples: &Samples) -> String {
    let key_exchanges: Vec<&str> = samples.key_exchanges().into_iter().collect();
    format!(
        "AWS answers after {} ms, by TLS 1.3 with a chain of four RSA certificates and the key exchange {}.",
        settings.latency.as_millis(),
        key_exchanges.join(", ")
    )
}
