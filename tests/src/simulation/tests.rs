use std::io::Write as _;
use std::thread;

use super::*;

/// Histories of one run of the tests.
const HISTORIES: u64 = 3_000;

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
    let (table, wrong) = (report.table(), report.wrong.len());
    writeln!(std::io::stderr(), "{table}simulation: {} histories, {wrong} wrong", report.histories).unwrap();
    assert!(report.wrong.is_empty(), "{}", report.told(&common));
    assert_eq!(report.never_met(), [""; 0]);
}

/// Histories that went wrong once, each as small as it was found.
#[test]
fn what_was_found_and_mended_stays_mended() {
    let common = common_config();
    let kind = Kind { zonal_tokens: false, failures_bind: false, lag: 0, faults: 0, full: 0, image_moves_at: 0 };
    let launch = |caller, key, body| Call::Launch(Launch { caller, key, body, wait: false });
    let found = [
        // One key with two bodies in two zones: the one launch was called the other's, and then another request's.
        (
            20,
            Kind { zonal_tokens: true, lag: 5_000, ..kind },
            vec![(50, launch(2, Some("k1"), 2)), (100, launch(2, Some("k1"), 0))],
        ),
        // A lost answer of the SDK's first try, and its last one throttled: the launch was called repeatable.
        (
            2882,
            Kind { faults: 30, ..kind },
            vec![
                (40_000, launch(2, None, 0)),
                (80_000, Call::Launch(Launch { caller: 2, key: Some("k1"), body: 2, wait: true })),
                (84_000, Call::Change("start-instance", 3)),
                (84_000, launch(2, None, 3)),
            ],
        ),
    ];
    for (seed, kind, calls) in found {
        let outcome = happen(&common, &Program { kind, calls }, seed);
        assert!(outcome.violations.is_empty(), "{seed}: {:?}\n{}", outcome.violations, outcome.log.join("\n"));
    }
}

#[test]
fn a_history_is_the_same_twice() {
    let common = common_config();
    for seed in 0..100 {
        let program = Program::drawn(seed);
        let logs = [(); 2].map(|()| happen(&common, &program, seed).log);
        assert_eq!(logs[0], logs[1], "{seed}");
    }
}
