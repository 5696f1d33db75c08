//! Judges the hour by what really happened to the instances, and by the events that were published.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use shared::model::tags::OWNERSHIP_KEY;

use super::cloud::Cloud;
use super::day::{Launch, Sweep};
use super::report::Outcome;
use super::scene::{BEGIN, EVERY, LENGTH, Role, Worker};
use crate::simulation::Instance;

/// What a caller gets for a launch.
const CREATED: u16 = 201;

/// Looks at everything once the hour is over.
pub fn of(cloud: &Cloud, sweeps: &[Sweep], longest_round: u64, launches: &[Launch]) -> Outcome {
    let (instances, workers) = (cloud.aws.instances(), cloud.scene.workers());
    let roles: BTreeMap<&str, Role> = workers.iter().map(|worker| (worker.id.as_str(), worker.role)).collect();
    let mut wrong = launched_wrongly(&instances, launches);
    wrong.extend(instances.iter().filter_map(|one| acted_on_wrongly(one, roles.get(one.id.as_str()).copied())));
    Outcome {
        scene: cloud.scene,
        wrong,
        unseen: sweeps.iter().map(|sweep| unseen(&instances, sweep)).sum(),
        unpublished: unpublished(&cloud.aws.events(), cloud.scene.regions()[0], &instances, sweeps),
        undone: workers.iter().filter(|worker| is_undone(&instances, worker)).count()
            + launches.iter().filter(|launch| !launch.statuses.contains(&CREATED)).count(),
        sweeps: sweeps.to_vec(),
        longest_round,
        counts: cloud.counts(),
        environments: cloud.environments(),
        buckets: cloud.aws.buckets(),
    }
}

/// Launches that happened twice, or of which a caller was told although they did not happen.
pub(super) fn launched_wrongly(instances: &[Instance], launches: &[Launch]) -> Vec<String> {
    let mut named: BTreeMap<String, usize> = BTreeMap::new();
    for one in instances.iter().filter(|one| one.begin() >= BEGIN) {
        let tags = one.tags.first().map(|(_, tags)| tags.clone()).unwrap_or_default();
        *named.entry(tags.get("Name").cloned().unwrap_or_default()).or_default() += 1;
    }
    let wrong = launches.iter().filter_map(|launch| {
        let count = named.get(&launch.name).copied().unwrap_or_default();
        let is_told = launch.statuses.contains(&CREATED);
        (count > 1 || is_told && count == 0).then(|| format!("{} was launched {count} times", launch.name))
    });
    wrong.collect()
}

/// A worker that was changed otherwise than its role says.
pub(super) fn acted_on_wrongly(one: &Instance, role: Option<Role>) -> Option<String> {
    let done: Vec<&str> = one.life.changed_at.iter().map(|(_, action)| action.as_str()).collect();
    let may = match role {
        Some(Role::Starts) => done.iter().all(|action| *action == "StartInstances") && done.len() < 2,
        Some(Role::Stops | Role::Forgotten) => done.iter().all(|action| *action == "StopInstances") && done.len() < 2,
        Some(Role::Busy) | None => done.is_empty(),
    };
    let is_ours = one.tags.iter().all(|(_, tags)| tags.contains_key(OWNERSHIP_KEY));
    (!may || !is_ours).then(|| format!("{} ({role:?}) met {}", one.id, done.join(", ")))
}

/// How many workers a sweep did not see, of those that were there all the time.
pub(super) fn unseen(instances: &[Instance], sweep: &Sweep) -> usize {
    let is_there = |one: &&Instance| one.is_alive(sweep.from) && one.is_alive(sweep.to);
    let is_seen = |one: &&Instance| sweep.seen.as_ref().is_some_and(|seen| seen.contains(&one.id));
    instances.iter().filter(is_there).filter(|one| !is_seen(one)).count()
}

/// How many changes of state nobody was told: in the stack's own region each, elsewhere each that a sweep could see.
pub(super) fn unpublished(events: &[Value], own: &str, instances: &[Instance], sweeps: &[Sweep]) -> usize {
    let published: BTreeSet<(String, String)> = events
        .iter()
        .filter(|event| event["change"] == "state")
        .filter_map(|event| Some((event["instance_id"].as_str()?.to_owned(), event["to"].as_str()?.to_owned())))
        .collect();
    // What happens in the last minutes is the next sweep's, and EC2 has its events under way.
    let ours = BEGIN..BEGIN + LENGTH - 2 * EVERY;
    let count = |one: &Instance| {
        let ends = one.states.iter().skip(1).map(|(since, ..)| *since).chain([u64::MAX]);
        let states = one.states.iter().zip(ends).filter(|((since, ..), _)| ours.contains(since));
        let is_shown = |from: u64, to: u64| sweeps.iter().any(|sweep| from < sweep.from && sweep.to < to);
        let missed = states.filter(|((since, state, _), end)| {
            let must = one.region == own || is_shown(*since, *end);
            must && !published.contains(&(one.id.clone(), (*state).to_owned()))
        });
        missed.count()
    };
    instances.iter().map(count).sum()
}

/// Whether a worker is not as its owner has asked for.
pub(super) fn is_undone(instances: &[Instance], worker: &Worker) -> bool {
    let state = instances.iter().find(|one| one.id == worker.id).and_then(|one| one.state(u64::MAX));
    match worker.role {
        Role::Starts => state != Some("running"),
        Role::Stops => state != Some("stopped"),
        Role::Busy | Role::Forgotten => false,
    }
}
