//! `make bench`, short and with development binaries: that it measures, and not how fast anything is.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use bench::run::Bench;
use bench::running::Ready;
use bench::settings::Settings;
use bench::variant::functions;
use serde_json::Value;
use tests::stack::{local_folder, repository};

fn folder(name: &str) -> PathBuf {
    local_folder().unwrap().join(format!("bench-test-{}-{name}", std::process::id()))
}

/// What the benchmark prints with these arguments and variables.
fn printed(folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Result<String, String> {
    let output = Command::new(repository().join("target/debug/bench"))
        .args(arguments)
        .envs([("ROUNDS", "1"), ("WARM", "4"), ("BINARIES", "target/debug")])
        .envs(variables.iter().copied())
        .env("BENCH_FOLDER", folder)
        .output()
        .unwrap();
    match output.status.success() {
        true => Ok(String::from_utf8(output.stdout).unwrap()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

/// Runs the benchmark of these operations, one round each, and gives its tables and its numbers.
fn bench(operations: &str) -> Result<(String, Value), String> {
    let folder = folder(operations);
    let tables = printed(&folder, &[], &[("OPERATIONS", operations)])?;
    let numbers = std::fs::read_to_string(folder.join("bench.json")).unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    Ok((tables, serde_json::from_str(&numbers).unwrap()))
}

#[test]
fn every_row_has_figures() {
    let (tables, numbers) = bench("health,start-instance").unwrap();
    for row in ["hello", "sdk-defaults", "health", "start-instance"] {
        assert_eq!(tables.matches(&format!("| {row} |")).count(), 2, "{tables}");
        let sample = &numbers["samples"][row][0];
        let times = [
            "init_ms",
            "first_answer_ms",
            "first_invocation_ms",
            "warm_p50_ms",
            "warm_p99_ms",
            "cold_cpu_ms",
            "peak_mb",
        ];
        for figure in times {
            assert!(sample[figure].as_f64().unwrap() > 0.0, "{row}: {figure} in {sample}");
        }
        assert!(sample["first_answer_ms"].as_f64() > sample["init_ms"].as_f64(), "{sample}");
        assert!(numbers["sizes"][row]["binary"].as_u64() > numbers["sizes"][row]["zip"].as_u64(), "{numbers}");
    }
    // The calls that AWS's side saw: health asks EC2 and CloudWatch, a start reads the worker first.
    let calls = ["hello", "sdk-defaults", "health", "start-instance"]
        .map(|row| numbers["samples"][row][0]["warm_calls"].clone());
    assert_eq!(calls, [0, 1, 2, 2].map(Value::from));
    assert!(numbers["samples"]["hello"][0]["bare_ms"].is_null());
    assert!(numbers["samples"]["health"][0]["bare_ms"].as_f64().unwrap() > 0.0);
}

#[test]
fn an_operation_that_does_not_exist_is_not_measured() {
    let error = bench("heath").unwrap_err();
    assert!(error.contains("there is no operation heath"), "{error}");
}

#[test]
fn what_cannot_be_measured_is_refused_before_anything_is_built() {
    let folder = folder("check");
    let refused = [
        (&["check"][..], ("ROUNDS", "many"), "ROUNDS is \"many\""),
        (&["check"], ("ROUNDS", "0"), "ROUNDS is 0"),
        (&["check"], ("OPERATIONS", "heath"), "there is no operation heath"),
        (&["check", "sustained"], ("BURST", "a"), "BURST is \"a\""),
        (&["check", "guard"], ("PATH", "/nowhere"), "valgrind is missing"),
        (&["chekc"], ("ROUNDS", "1"), "chekc is none of"),
    ];
    for (arguments, variable, message) in refused {
        let error = printed(&folder, arguments, &[variable]).unwrap_err();
        assert!(error.contains(message), "{error}");
    }
    let part = [("OPERATIONS", "health"), ("WRITE", "1")];
    assert!(printed(&folder, &["check"], &part).unwrap_err().contains("leave out OPERATIONS"));
    printed(&folder, &["check"], &[("OPERATIONS", "health,start-instance")]).unwrap();
}

#[test]
fn long_runs_and_bursts_have_figures() {
    let folder = folder("sustained");
    let variables = [("SUSTAINED", "30"), ("BURST", "3"), ("LATENCY_MS", "1")];
    let tables = printed(&folder, &["sustained"], &variables).unwrap();
    for row in ["| get-instance-details | 29 |", "| create-instance | 29 |", "| hello | 3 |", "| create-instance | 3 |"]
    {
        assert!(tables.contains(row), "{tables}");
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

/// A start-instance function that is not started yet, in a folder of its own.
fn prepared(name: &str) -> (Bench, Ready) {
    let settings = Settings {
        rounds: 1,
        warm: 1,
        latency: Duration::ZERO,
        operations: Vec::new(),
        binaries: repository().join("target/debug"),
        python: PathBuf::new(),
        folder: folder(name),
    };
    let bench = Bench::new(settings).unwrap();
    let ready = bench.prepare(&functions(&["start-instance".to_owned()]).unwrap()[0], 0).unwrap();
    (bench, ready)
}

#[tokio::test]
async fn a_function_connects_before_its_first_event_and_keeps_the_connection() {
    // A start waits a second for its connection, and on a busy machine a development build can take longer: then another one is
    // looked at.
    for _ in 0..20 {
        let (bench, ready) = prepared("connect");
        let mut running = ready.start(&[], 0).unwrap();
        running.until(|progress| progress.asked > 0).await.unwrap();
        assert_eq!(running.aws.calls(), 0);
        if running.aws.connections() == 1 {
            for count in 1..=3 {
                running.answer(count).await.unwrap();
                assert_eq!((running.aws.connections(), running.aws.calls()), (1, 2 * count));
            }
            std::fs::remove_dir_all(&bench.settings.folder).unwrap();
            return;
        }
    }
    panic!("no function had connected before its first event");
}

#[tokio::test]
async fn a_function_that_cannot_connect_asks_for_its_event_all_the_same() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (name, address) in [("silent", silent.local_addr().unwrap()), ("closed", closed)] {
        let (bench, mut ready) = prepared(name);
        ready.environment.retain(|(name, _)| name != "AWS_ENDPOINT_URL");
        ready.environment.push(("AWS_ENDPOINT_URL".to_owned(), format!("https://{address}")));
        let mut running = ready.start(&[], 0).unwrap();
        running.until(|progress| progress.asked > 0).await.unwrap();
        std::fs::remove_dir_all(&bench.settings.folder).unwrap();
    }
}
