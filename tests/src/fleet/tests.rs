use std::io::Write as _;

use serde_json::{Value, json};

use super::day::{Launch, Sweep};
use super::scene::{BEGIN, EVERY, LENGTH, MINUTE, Role, Worker};
use super::verdict::{acted_on_wrongly, is_undone, launched_wrongly, unpublished, unseen};
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

#[test]
fn a_change_of_which_nobody_was_told_counts_where_somebody_could_have_seen_it() {
    let at = BEGIN + MINUTE;
    let old = |id: &str| Instance::worker(id.to_owned(), "us-east-1", 0, Life::default());
    let mut one = old("i-1");
    one.goes(at, [(at, "stopping", ""), (at + MINUTE, "stopped", "")]);
    let event = |to| json!({"change": "state", "instance_id": "i-1", "to": to});
    let sweep = |from, to| Sweep { from, to, ..Sweep::default() };
    let missed = |own, events: &[Value], sweeps: &[Sweep]| unpublished(events, own, &[one.clone()], sweeps);
    // EC2 tells of each change in the stack's own region.
    assert_eq!(missed("us-east-1", &[], &[]), 2);
    assert_eq!(missed("us-east-1", &[event("stopping")], &[]), 1);
    assert_eq!(missed("us-east-1", &[event("stopping"), event("stopped")], &[]), 0);
    // Elsewhere only a sweep does, of a state that lasts longer than it.
    assert_eq!(missed("eu-west-1", &[], &[]), 0);
    assert_eq!(missed("eu-west-1", &[], &[sweep(at - 1, at + 2 * MINUTE)]), 0);
    assert_eq!(missed("eu-west-1", &[], &[sweep(at + 1, at + 2)]), 1);
    assert_eq!(missed("eu-west-1", &[event("stopping")], &[sweep(at + 1, at + 2)]), 0);
    // Before the hour, and at its end, of which the next sweep tells.
    for at in [BEGIN - 1, BEGIN + LENGTH - 2 * EVERY] {
        let mut other = old("i-2");
        other.goes(at, [(at, "stopping", "")]);
        assert_eq!(unpublished(&[], "us-east-1", &[other], &[]), 0);
    }
}

#[test]
fn a_worker_that_is_not_as_its_owner_asked_for_is_undone() {
    let undone = |role, state: Option<&'static str>| {
        let mut one = Instance::worker("i-1".to_owned(), "us-east-1", 0, Life::default());
        one.goes(0, state.map(|state| (0, state, "")));
        is_undone(&[one], &Worker { id: "i-1".to_owned(), region: "us-east-1", role, in_batch: false })
    };
    assert!(undone(Role::Starts, Some("stopped")) && undone(Role::Starts, Some("pending")));
    assert!(!undone(Role::Starts, Some("running")) && !undone(Role::Stops, Some("stopped")));
    assert!(undone(Role::Stops, Some("running")) && undone(Role::Stops, Some("terminated")));
    assert!(!undone(Role::Busy, Some("stopped")) && !undone(Role::Forgotten, Some("stopped")));
}
