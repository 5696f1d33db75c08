use std::io::Write as _;

use super::day::{Launch, Sweep};
use super::scene::{BEGIN, Role};
use super::verdict::{acted_on_wrongly, launched_wrongly, unseen};
use super::*;
use crate::simulation::{DOCUMENTED, Instance, Life, Limits, common};

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
    // EC2's events of which the read was throttled.
    assert!(outcome.unpublished > 0, "{}", outcome.table());
}

fn instance(name: &str) -> Instance {
    Instance::worker(name.to_owned(), "us-east-1", BEGIN, Life::default())
}

#[test]
fn a_launch_that_happened_twice_or_not_at_all_is_wrong() {
    let launch = |status| [Launch { name: "new-1".to_owned(), statuses: vec![status] }];
    let found = |count, status| launched_wrongly(&vec![instance("new-1"); count], &launch(status)).len();
    assert_eq!([found(1, 201), found(2, 201), found(0, 201), found(0, 429)], [0, 1, 1, 0]);
}

#[test]
fn an_action_that_the_role_does_not_have_is_wrong() {
    let met = |actions: &[&str], role| {
        let mut one = instance("i-1");
        one.life.changed_at = actions.iter().map(|action| (BEGIN, (*action).to_owned())).collect();
        acted_on_wrongly(&one, role).is_some()
    };
    assert!(!met(&["StopInstances"], Some(Role::Forgotten)) && !met(&["StartInstances"], Some(Role::Starts)));
    assert!(met(&["StopInstances"], Some(Role::Busy)) && met(&["StopInstances"], None));
    assert!(met(&["TerminateInstances"], Some(Role::Forgotten)) && met(&["StopInstances"; 2], Some(Role::Stops)));
}

#[test]
fn a_worker_that_a_sweep_has_no_line_of_is_not_seen() {
    let sweep = |seen| Sweep { from: BEGIN, to: BEGIN + 1, seen, ..Sweep::default() };
    let missing = |seen| unseen(&[instance("i-1"), instance("i-2")], &sweep(seen));
    let line = |id: &str| Some([id.to_owned()].into());
    assert_eq!([missing(line("i-1")), missing(line("i-3")), missing(None)], [1, 2, 2]);
}
