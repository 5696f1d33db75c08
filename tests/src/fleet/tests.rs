use std::io::Write as _;

use super::*;
use crate::simulation::{DOCUMENTED, Limits, common};

fn hour(scene: Scene) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let outcome = happen(&runtime.block_on(common()), scene);
    std::io::stderr().write_all(outcome.table().as_bytes()).unwrap();
    outcome
}

const SMALL: Scene = Scene { workers: 30, regions: 2, limits: DOCUMENTED, readers: 3 };

#[test]
fn a_small_fleet_is_not_throttled() {
    let outcome = hour(SMALL);
    assert!(outcome.is_good() && outcome.throttled() == 0, "{}", outcome.table());
    assert!(outcome.acted() > 0 && outcome.count("EC2's events") > 0, "{}", outcome.table());
    assert!(outcome.buckets.keys().any(|(region, _)| region == SMALL.regions()[1]));
}

#[test]
fn a_small_fleet_is_throttled_by_a_tenth_of_the_limits_and_still_nothing_is_wrong() {
    let outcome = hour(Scene { limits: Limits { divided_by: 10, ..DOCUMENTED }, ..SMALL });
    assert!(outcome.throttled() > 0 && outcome.count("429 by AWS") > 0, "{}", outcome.table());
    assert!(!outcome.is_good() && outcome.wrong.is_empty(), "{}", outcome.table());
}
