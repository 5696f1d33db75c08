//! `docs/FAILURES.md` has a line for each fault that is tried, and a test for each line.

use std::fs;

use tests::stack::repository;

use super::classes::{Expected, FAULTS, Fault};
use crate::proofs::assert_named_tests_exist;

fn failures() -> String {
    fs::read_to_string(repository().join("docs/FAILURES.md")).unwrap()
}

/// The fault's line, from what the cases expect of it.
fn line(fault: &Fault) -> String {
    let (answer, again) = match fault.expected {
        Expected::Success => ("success".to_owned(), " "),
        Expected::Problem { status, code, retryable, retry_after, .. } => {
            let after = retry_after.map(|seconds| format!(", `Retry-After: {seconds}`")).unwrap_or_default();
            (format!("{status} `{code}`{after}"), if retryable { " yes " } else { " no " })
        }
    };
    let done = if fault.is_after_work || fault.expected == Expected::Success { "done" } else { "not done" };
    format!("| {} | {answer} |{again}| {done} |", fault.name)
}

#[test]
fn the_table_has_a_line_for_each_fault_and_no_other() {
    let failures = failures();
    let rows: Vec<&str> = failures.lines().filter(|line| line.starts_with("| ")).skip(1).collect();
    assert_eq!(rows, FAULTS.iter().map(line).collect::<Vec<_>>());
}

#[test]
fn each_test_that_is_named_exists() {
    let count = assert_named_tests_exist(&failures());
    assert!(count >= 20, "{count}");
}
