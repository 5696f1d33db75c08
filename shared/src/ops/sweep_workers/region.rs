//! Sweeps one region.

use std::collections::{BTreeMap, HashMap, HashSet};

use futures_util::stream::{self, StreamExt};

use crate::aws::bus::Bus;
use crate::aws::clients::Clients;
use crate::aws::fleet;
use crate::error::Error;
use crate::model::region::Region;
use crate::model::state::State;
use crate::model::sweep::allowance::Allowance;
use crate::model::sweep::change::{Change, changes};
use crate::model::sweep::decision::{Verdict, decide};
use crate::model::sweep::facts::Facts;
use crate::model::sweep::mark::Mark;
use crate::model::sweep::{ACTED_KEY, MARK_KEY, SEEN_KEY};
use crate::model::time::Moment;
use crate::ops::sweep_workers::actions::{self, Ended};
use crate::ops::sweep_workers::report::{Failure, Line, RegionReport};

/// How many calls the sweep of a region has under way at most.
const AT_ONCE: usize = 8;

/// An hour, in seconds.
const HOUR: u64 = 3600;

/// Reads all workers of a region, decides about each, and carries the decisions out.
///
/// # Errors
/// If the workers cannot be read. What fails after that stands in the report, and the sweep goes on without it.
pub(super) async fn sweep(clients: &Clients, bus: &Bus, region: &Region) -> Result<RegionReport, Error> {
    let mut report = RegionReport::new(region, &clients.config().sweep.rules);
    let all = read(clients, region, &mut report).await?;
    tell(clients, bus, region, &all, &mut report).await;
    let rules = &clients.config().sweep.rules;
    let decided: Vec<Line> = all
        .into_iter()
        .map(|facts| {
            let decision = decide(&facts, rules);
            report.count(&facts, rules, &decision);
            Line { facts, rules: rules.clone(), decision, acted: false }
        })
        .collect();
    // What follows may take all the time there is: what was decided is in the log before, and each action again once it is done.
    decided.iter().for_each(Line::log);
    mark(clients, bus, region, &decided, &mut report).await;
    let acted = act(clients, bus, region, &decided, &mut report).await;
    report.acted = acted.len();
    let done = decided.into_iter().map(|line| Line { acted: acted.contains(&line.facts.instance_id), ..line });
    report.lines = done.collect();
    Ok(report)
}

/// The facts of all workers. Statuses and metrics that cannot be read are missing, so that no rule holds by them.
async fn read(clients: &Clients, region: &Region, report: &mut RegionReport) -> Result<Vec<Facts>, Error> {
    let now = Moment::from(clients.now());
    let instances = fleet::managed(clients, region).await?;
    let running = instances.iter().filter(|instance| instance.state == State::Running);
    let running: Vec<String> = running.map(|instance| instance.instance_id.clone()).collect();
    let chunks = running.chunks(fleet::MOST_IDS).map(|ids| fleet::statuses(clients, region, ids.to_vec()));
    let mut statuses = HashMap::new();
    for answer in stream::iter(chunks).buffer_unordered(AT_ONCE).collect::<Vec<_>>().await {
        match answer {
            Ok(some) => statuses.extend(some),
            Err(error) => report.failures.push(Failure::new(None, &error)),
        }
    }
    let facts = instances.iter().map(|instance| Facts::from_ec2(now, instance, statuses.get(&instance.instance_id)));
    let rules = &clients.config().sweep.rules;
    let with_cpu = facts.map(|mut facts| async move {
        if rules.on_idle.is_none() || facts.state != State::Running {
            return (facts, None);
        }
        match fleet::cpu(clients, region, &facts.instance_id, rules.idle_minutes, now).await {
            Ok(periods) => facts.cpu = Some(periods),
            Err(error) => return (facts, Some(error)),
        }
        (facts, None)
    });
    let read: Vec<(Facts, Option<Error>)> = stream::iter(with_cpu).buffered(AT_ONCE).collect().await;
    let failed = read.iter().filter_map(|(facts, error)| Some((facts, error.as_ref()?)));
    report.failures.extend(failed.map(|(facts, error)| Failure::new(Some(&facts.instance_id), error)));
    Ok(read.into_iter().map(|(facts, _)| facts).collect())
}

/// Publishes what changed, and remembers it at the workers, some at a time: a sweep that is cut off has remembered what it had
/// published, and the next one goes on there. An event that cannot be published is tried again in the next sweep; one that
/// cannot be remembered is published twice.
async fn tell(clients: &Clients, bus: &Bus, region: &Region, all: &[Facts], report: &mut RegionReport) {
    let is_own = *region == clients.config().region;
    let mut news: BTreeMap<String, Vec<(&Facts, Vec<Change>)>> = BTreeMap::new();
    for facts in all {
        if let (changes, Some(seen)) = changes(facts, is_own) {
            news.entry(seen).or_default().push((facts, changes));
        }
    }
    for (seen, workers) in &news {
        for some in workers.chunks(fleet::MOST_IDS) {
            tell_some(clients, bus, region, (seen, some), report).await;
        }
    }
}

/// The same of workers of which the same is to be remembered, no more than one call takes.
async fn tell_some(
    clients: &Clients,
    bus: &Bus,
    region: &Region,
    (seen, workers): (&str, &[(&Facts, Vec<Change>)]),
    report: &mut RegionReport,
) {
    let calls =
        workers.iter().map(|(facts, changes)| async move { (facts, changes.len(), bus.publish(changes).await) });
    let mut told = BTreeMap::new();
    for (facts, count, published) in stream::iter(calls).buffered(AT_ONCE).collect::<Vec<_>>().await {
        match published {
            Ok(()) => drop(told.insert(facts.instance_id.as_str(), count)),
            Err(error) => report.failures.push(Failure::new(Some(&facts.instance_id), &error)),
        }
    }
    let failed = actions::set_tag_of_many(clients, region, told.keys().copied(), SEEN_KEY, seen).await;
    report.events += told.iter().filter(|(id, _)| !failed.contains_key(**id)).map(|(_, count)| count).sum::<usize>();
    report.failures.extend(failed.iter().map(|(id, error)| Failure::new(Some(id), error)));
}

/// Writes and removes the marks.
async fn mark(clients: &Clients, bus: &Bus, region: &Region, decided: &[Line], report: &mut RegionReport) {
    let calls = decided.iter().filter_map(|Line { facts, decision, .. }| match decision.verdict {
        Verdict::Mark | Verdict::Unmark => {
            Some(async move { (facts, actions::mark(clients, bus, region, facts, decision).await) })
        }
        _ => None,
    });
    for (facts, done) in stream::iter(calls).buffered(AT_ONCE).collect::<Vec<_>>().await {
        match done {
            Ok(()) => report.events += 1,
            Err(error) => report.failures.push(Failure::new(Some(&facts.instance_id), &error)),
        }
    }
}

/// Stops and terminates workers one after the other, in the order of their marks. Gives the workers that it acted on.
async fn act(
    clients: &Clients,
    bus: &Bus,
    region: &Region,
    decided: &[Line],
    report: &mut RegionReport,
) -> HashSet<String> {
    let mut due: Vec<&Line> = decided.iter().filter(|line| line.decision.acts()).collect();
    due.sort_by_key(|line| line.facts.tag(MARK_KEY).and_then(Mark::parse).map(|mark| mark.at));
    let lately = decided.iter().filter(|line| is_of_this_hour(&line.facts)).map(|line| line.facts.instance_id.clone());
    let mut allowance = Allowance::new(&clients.config().sweep.rules, lately.collect());
    let mut acted = HashSet::new();
    for line in due {
        let Line { facts, decision, .. } = line;
        if !allowance.is_left() {
            report.held_back += 1;
            continue;
        }
        match actions::act(clients, bus, region, (facts, decision), |ended| line.log_action(ended)).await {
            Ok(Ended::Acted(untold)) => {
                acted.insert(facts.instance_id.clone());
                report.events += usize::from(untold.is_none());
                report.failures.extend(untold.map(|error| Failure::new(Some(&facts.instance_id), &error)));
            }
            Ok(Ended::NoLongerTrue) => continue,
            Err(error) => {
                report.failures.push(Failure::new(Some(&facts.instance_id), &error));
                if !error.may_have_happened() {
                    allowance.count_refused();
                    continue;
                }
            }
        }
        allowance.count(&facts.instance_id);
    }
    acted
}

fn is_of_this_hour(facts: &Facts) -> bool {
    facts.tag(ACTED_KEY).and_then(Mark::parse).is_some_and(|acted| facts.at.since(acted.at) < HOUR)
}
