//! `make bench`, short and with development binaries: that it measures, and not how fast anything is.

use std::process::Command;

use serde_json::Value;
use tests::stack::{local_folder, repository};

/// Runs the benchmark of these operations, one round each, and gives its tables and its numbers.
fn bench(operations: &str) -> Result<(String, Value), String> {
    let folder = local_folder().unwrap().join(format!("bench-test-{}-{operations}", std::process::id()));
    let output = Command::new(repository().join("target/debug/bench"))
        .envs([("ROUNDS", "1"), ("WARM", "4"), ("BINARIES", "target/debug"), ("OPERATIONS", operations)])
        .env("BENCH_FOLDER", &folder)
        .output()
        .unwrap();
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let numbers = std::fs::read_to_string(folder.join("bench.json")).unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    Ok((String::from_utf8(output.stdout).unwrap(), serde_json::from_str(&numbers).unwrap()))
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
