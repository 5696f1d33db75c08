use std::io::Write as _;
use std::process::Command;
use std::thread;

use super::aws::{Kind, Tokens};
use super::invariants::EXCEPTIONS;
use super::program::{Call, Launch};
use super::*;
use crate::stack::repository;

/// Histories of one run of the tests.
const HISTORIES: u64 = 10_000;

/// Seeds whose histories must be the same in two processes.
const SEEDS: u64 = 100;

fn common_config() -> aws_config::SdkConfig {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(common())
}

#[test]
fn no_history_launches_twice_or_loses_a_launch() {
    let common = common_config();
    let halves = thread::scope(|scope| {
        let common = &common;
        let halves = [0, 1].map(|half| scope.spawn(move || Report::of(common, (half..HISTORIES).step_by(2))));
        halves.map(|half| half.join().unwrap())
    });
    let report = halves.into_iter().fold(Report::default(), Report::and);
    std::io::stderr().write_all(report.table().as_bytes()).unwrap();
    assert!(report.wrong.is_empty(), "{}", report.told(&common));
    assert_eq!(report.never_met(), [""; 0]);
}

/// Histories that went wrong once, each as small as it was found.
#[test]
fn what_was_found_and_mended_stays_mended() {
    let common = common_config();
    let kind = Kind {
        tokens: Tokens::Regional,
        failures_bind: false,
        lag: 0,
        faults: 0,
        full: 0,
        image_moves_at: [0, 0],
        bucket: 0,
        retries: 500,
    };
    let launch = |caller, key, body| Call::Launch(Launch { caller, region: 0, key, body, wait: false });
    let found = [
        // One key with two bodies in two zones: the one launch was called the other's, and then another request's.
        (
            20,
            Kind { tokens: Tokens::Zonal, lag: 5_000, ..kind },
            vec![(50, launch(2, Some("k1"), 2)), (100, launch(2, Some("k1"), 0))],
        ),
    ];
    for (seed, kind, calls) in found {
        let outcome = happen(&common, &Program { kind, calls }, seed);
        assert!(outcome.findings.violations.is_empty(), "{seed}: {}", outcome.log.join("\n"));
    }
}

#[test]
fn readme_has_what_is_excepted() {
    let readme = std::fs::read_to_string(repository().join("README.md")).unwrap();
    let readme = readme.split_whitespace().collect::<Vec<_>>().join(" ");
    for exception in EXCEPTIONS {
        assert!(readme.contains(exception.text()), "{exception:?}: {}", exception.text());
    }
}

fn digests() -> String {
    let common = common_config();
    (0..SEEDS).map(|seed| format!("{seed}:{:016x}\n", digest(&common, seed))).collect()
}

/// Not a test of its own: [`a_history_is_the_same_in_two_processes`] runs it.
#[test]
#[ignore = "prints for another test"]
fn the_digests_of_a_process() {
    std::io::stderr().write_all(digests().as_bytes()).unwrap();
}

#[test]
fn a_history_is_the_same_in_two_processes() {
    let arguments = ["--exact", "simulation::tests::the_digests_of_a_process", "--ignored", "--nocapture"];
    let other = Command::new(std::env::current_exe().unwrap()).args(arguments).output().unwrap();
    let (own, other) = (digests(), String::from_utf8(other.stderr).unwrap());
    let other: Vec<&str> = other.lines().filter(|line| own.contains(line.split(':').next().unwrap())).collect();
    assert_eq!(own.lines().collect::<Vec<_>>(), other);
}
