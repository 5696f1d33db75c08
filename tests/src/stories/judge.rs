//! Judges a story by what really happened, and knows nothing of the function's own reasoning: each stop and each termination was
//! asked for by a rule, announced long enough before, still true at a moment that the last read can have shown, and not
//! forbidden by a tag.

use shared::model::sweep::rules::Wish;
use shared::model::sweep::{HEARTBEAT_KEY, KEEP_KEY, MARK_KEY};
use shared::model::tags::OWNERSHIP_KEY;
use shared::model::time::Moment;

use super::life::{Fact, HOUR, LATENCY, MINUTE, Plot, REGIONS, moment};
use crate::simulation::{DELAY, Instance, PERIOD, average};

/// How much time the tag and the action can take after the last read, with all that goes wrong: the SDK gives each call 20 seconds.
const TWO_CALLS: u64 = 45_000;

/// Two sweeps are further apart than this.
const ONE_SWEEP: u64 = 4 * MINUTE;

/// By how much a heartbeat may be ahead of time.
const SKEW: u64 = 300_000;

/// What is wrong with a story.
pub fn judge(plot: &Plot, instances: &[Instance]) -> Vec<String> {
    let mut wrong: Vec<String> = instances.iter().flat_map(|one| unfounded(plot, one)).collect();
    let touched = instances.iter().filter(|one| !is_ours(one, one.begin()) && one.tags.len() > 1);
    wrong.extend(touched.map(|one| format!("{}: tags of somebody else's instance were changed", one.id)));
    wrong.extend(REGIONS.iter().flat_map(|region| too_many(plot, region, instances)));
    if plot.is_plain {
        wrong.extend(instances.iter().filter_map(|one| outlived(plot, one)));
    }
    wrong
}

/// The actions on a worker for which there was no moment at which all that they need held.
fn unfounded(plot: &Plot, one: &Instance) -> Vec<String> {
    // Where no call meets a fault, two calls follow the last read: the tag with the time, and the action.
    let calls = if plot.kind.faults == 0 { 2 * plot.kind.latency + LATENCY / 2 } else { TWO_CALLS };
    let shown_late = plot.kind.lag + plot.kind.lag / 3 + calls;
    let is_founded = |at: u64, wish: Wish| {
        (at.saturating_sub(shown_late)..=at).step_by(100).any(|shown| may(plot, one, shown, at, wish))
    };
    let acts = one
        .life
        .changed_at
        .iter()
        .map(|(at, action)| (*at, if action == "StopInstances" { Wish::Stop } else { Wish::Terminate }));
    let unfounded = acts.filter(|(at, wish)| !is_founded(*at, *wish));
    unfounded.map(|(at, wish)| format!("{} at {}: {wish} without a reason", one.id, moment(at))).collect()
}

/// Whether what EC2 could show of one moment allows the action at another.
fn may(plot: &Plot, one: &Instance, shown: u64, at: u64, wish: Wish) -> bool {
    let tags = one.tags(shown);
    if tags.contains_key(KEEP_KEY) || !is_ours(one, shown) {
        return false;
    }
    let Some(mark) = tags.get(MARK_KEY) else { return false };
    let words: Vec<&str> = mark.split(' ').collect();
    let [word, rule, marked] = words[..] else { return false };
    let Some(marked) = Moment::parse(marked) else { return false };
    let is_old = moment(at).since(marked) >= plot.rules.mark_minutes * 60;
    let is_of_this_run = marked >= moment(one.started(shown));
    let (asked, holds) = match rule {
        "idle" => (plot.rules.on_idle, is_idle(plot, one, shown)),
        "impaired" => (plot.rules.on_impaired, is_impaired(plot, one, shown)),
        "orphan" => (plot.rules.on_orphan, is_orphan(plot, one, shown)),
        _ => (None, false),
    };
    word == wish.to_string() && asked == Some(wish) && is_old && is_of_this_run && holds
}

fn is_ours(one: &Instance, at: u64) -> bool {
    one.tags(at).get(OWNERSHIP_KEY).is_some_and(|owner| owner == "cml-cloud-manager")
}

fn is_running(one: &Instance, at: u64) -> bool {
    one.state(at) == Some("running")
}

/// Whether the owner has shown life lately: yes, no, or nobody can say.
fn heartbeat(plot: &Plot, one: &Instance, at: u64) -> Option<bool> {
    let tags = one.tags(at);
    let Some(text) = tags.get(HEARTBEAT_KEY) else { return Some(false) };
    let beat = Moment::parse(text)?;
    let is_past = beat.seconds() <= moment(at + SKEW).seconds();
    is_past.then(|| moment(at).since(beat) < plot.rules.heartbeat_minutes * 60)
}

fn is_past_grace(plot: &Plot, one: &Instance, at: u64) -> bool {
    at >= one.started(at) + plot.rules.grace_minutes * MINUTE
}

fn is_idle(plot: &Plot, one: &Instance, at: u64) -> bool {
    let length = plot.rules.idle_minutes * MINUTE;
    // A point that is shown late, or is not yet shown to one read and is to another.
    let ends = (at.saturating_sub(DELAY + 2 * PERIOD + MINUTE)..=at).filter(|end| end % PERIOD == 0);
    let is_quiet = |end: u64| {
        let begins = (end.saturating_sub(length)..end).step_by(300_000).filter(|begin| *begin >= one.started(at));
        let averages: Vec<f64> = begins.filter_map(|begin| average(one, begin)).collect();
        let most = usize::try_from(length / PERIOD).unwrap_or_default();
        averages.len() >= most - most / 10 && averages.iter().all(|average| *average < plot.rules.idle_cpu_percent)
    };
    is_running(one, at)
        && is_past_grace(plot, one, at)
        && heartbeat(plot, one, at) == Some(false)
        && ends.into_iter().any(is_quiet)
}

fn is_impaired(plot: &Plot, one: &Instance, at: u64) -> bool {
    is_running(one, at)
        && is_past_grace(plot, one, at)
        && one.life.impaired_since(at).is_some_and(|since| at >= since + 2 * MINUTE)
        && heartbeat(plot, one, at) == Some(false)
}

fn is_orphan(plot: &Plot, one: &Instance, at: u64) -> bool {
    let is_there = is_running(one, at) || one.state(at) == Some("stopped");
    is_there && is_past_grace(plot, one, at) && heartbeat(plot, one, at) == Some(false)
}

/// More actions in a region than the rules allow, for as many sweeps as the schedule had sent. A terminated worker counts for as
/// long as EC2 shows its tags.
fn too_many(plot: &Plot, region: &str, instances: &[Instance]) -> Vec<String> {
    let of_region: Vec<&Instance> = instances.iter().filter(|one| one.region == region).collect();
    let acts = |one: &Instance| one.life.changed_at.iter().map(|(at, _)| *at).collect::<Vec<u64>>();
    let within = |length: u64, end: u64| {
        let shown = of_region.iter().filter(|one| acts(one).contains(&end) || is_ours(one, end));
        shown.flat_map(|one| acts(one)).filter(|at| *at <= end && at + length > end).count()
    };
    let times = |length: u64, end: u64| {
        let lately = |at: u64| at <= end && at + length + MINUTE > end;
        let twice = plot.facts.iter().any(|(at, fact)| lately(*at) && matches!(fact, Fact::TwoSweeps));
        if twice { 2 } else { 1 }
    };
    let (per_sweep, per_hour) = (plot.rules.most_actions_per_sweep, plot.rules.most_actions_per_hour);
    let hour = 60 * MINUTE - TWO_CALLS;
    let is_over = |at: &u64| {
        within(ONE_SWEEP, *at) > per_sweep * times(ONE_SWEEP, *at) || within(hour, *at) > per_hour * times(hour, *at)
    };
    let all = of_region.iter().flat_map(|one| acts(one));
    all.filter(is_over).map(|at| format!("{region} at {}: too many actions", moment(at))).collect()
}

/// An orphan that three sweeps in a row have seen since the same start, although the rule terminates orphans. In a row means less
/// than a day apart: a mark that is older is written anew.
fn outlived(plot: &Plot, one: &Instance) -> Option<String> {
    let sweeps = plot.facts.iter().filter(|(_, fact)| matches!(fact, Fact::Sweep | Fact::TwoSweeps));
    let (mut seen, mut before) = (0, (0, 0));
    for (at, _) in sweeps {
        // EC2's whole seconds, and the second or two that the reads of a sweep take.
        let is_seen =
            is_ours(one, *at) && is_orphan(plot, one, at.saturating_sub(1_000)) && is_orphan(plot, one, at + 1_000);
        let now = (*at, one.started(*at));
        let is_in_a_row = now.1 == before.1 && now.0 - before.0 < 24 * HOUR;
        seen = if is_seen { if is_in_a_row { seen + 1 } else { 1 } } else { 0 };
        before = now;
        if seen == 3 {
            return Some(format!("{}: an orphan is still there at {}", one.id, moment(*at)));
        }
    }
    None
}
