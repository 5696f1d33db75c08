//! What a rule finds about a worker.

use crate::model::state::State;
use crate::model::sweep::HEARTBEAT_KEY;
use crate::model::sweep::facts::{Facts, PERIOD};
use crate::model::sweep::mark::Rule;
use crate::model::sweep::rules::{Rules, Wish};
use crate::model::time::Moment;

/// By how many seconds a heartbeat may be ahead of our clock.
const CLOCK_SKEW: u64 = 300;

/// How old the newest period of CPU utilization may be, in seconds. CloudWatch shows a point of basic monitoring up to 15
/// minutes after its period begins.
const OLDEST_NEWEST: u64 = 20 * 60;

/// A rule that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    /// The rule.
    pub rule: Rule,
    /// What the rule asks for.
    pub wish: Wish,
    /// Why the rule holds, in words and numbers.
    pub reason: String,
}

/// The owner's sign of life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heartbeat {
    /// There is none.
    None,
    /// It came at this moment.
    At(Moment),
    /// The tag holds no time, or one in the future.
    Unreadable,
}

impl Heartbeat {
    /// Reads the tag.
    #[must_use]
    pub(crate) fn of(facts: &Facts) -> Self {
        match facts.tag(HEARTBEAT_KEY).map(Moment::parse) {
            None => Self::None,
            Some(Some(at)) if at.seconds() <= facts.at.seconds() + CLOCK_SKEW => Self::At(at),
            Some(_) => Self::Unreadable,
        }
    }
}

/// The finding with the strongest wish. Of two that wish the same, an orphan comes before an impaired worker, and that one
/// before an idle one.
#[must_use]
pub(crate) fn strongest(facts: &Facts, rules: &Rules) -> Option<Finding> {
    let findings = [idle(facts, rules), impaired(facts, rules), orphan(facts, rules)];
    findings.into_iter().flatten().max_by_key(|finding| finding.wish)
}

/// The rules that hold of a worker, for the metrics. A failing check counts even if the deployment has no rule about it.
#[must_use]
pub(crate) fn holding(facts: &Facts, rules: &Rules) -> Vec<Rule> {
    let with_checks = Rules { on_impaired: rules.on_impaired.or(Some(Wish::Report)), ..rules.clone() };
    let findings = [idle(facts, rules), impaired(facts, &with_checks), orphan(facts, rules)];
    findings.into_iter().flatten().map(|finding| finding.rule).collect()
}

/// What the heartbeat makes of a wish about a worker that seems not to be used: nothing if the heartbeat is recent, and a report
/// if it cannot be read.
fn unless_in_use(facts: &Facts, rules: &Rules, wish: Wish, reason: String) -> Option<(Wish, String)> {
    match Heartbeat::of(facts) {
        Heartbeat::At(at) if facts.at.since(at) < rules.heartbeat_minutes * 60 => None,
        Heartbeat::Unreadable => Some((Wish::Report, format!("{reason}, but {}", unreadable(facts)))),
        Heartbeat::At(_) | Heartbeat::None => Some((wish, reason)),
    }
}

fn unreadable(facts: &Facts) -> String {
    let value = facts.tag(HEARTBEAT_KEY).unwrap_or_default();
    format!("the tag {HEARTBEAT_KEY} holds {value:?}, which is no time up to now")
}

/// A worker that runs, and has done nothing for as long as the rule says. Without enough data it is not idle.
fn idle(facts: &Facts, rules: &Rules) -> Option<Finding> {
    let wish = rules.on_idle?;
    let (launched, periods) = (facts.launched_at?, facts.cpu.as_ref()?);
    let is_old_enough = facts.age()? >= rules.grace_minutes.max(rules.idle_minutes) * 60;
    if facts.state != State::Running || !is_old_enough {
        return None;
    }
    let newest = periods.last().filter(|newest| facts.at.since(newest.at) <= OLDEST_NEWEST)?;
    let wanted = rules.idle_minutes * 60 / PERIOD;
    let begin = (newest.at.seconds() + PERIOD).saturating_sub(rules.idle_minutes * 60).max(launched.seconds());
    let within: Vec<f64> =
        periods.iter().filter(|period| period.at.seconds() >= begin).map(|period| period.average).collect();
    // One period in ten may be missing: CloudWatch promises no completeness.
    let is_known = within.len() as u64 >= wanted - wanted / 10;
    let highest = within.iter().copied().reduce(f64::max)?;
    let reason = format!(
        "the CPU was at {highest:.1} % or less in each of {} periods of 5 minutes since {}, below {} %",
        within.len(),
        Moment::new(begin),
        rules.idle_cpu_percent
    );
    if !is_known || highest >= rules.idle_cpu_percent {
        return None;
    }
    unless_in_use(facts, rules, wish, reason).map(|(wish, reason)| Finding { rule: Rule::Idle, wish, reason })
}

/// A worker that runs and whose status checks have failed for a while. It is stopped only if its owner gives no sign of
/// life, and if EC2 says since when it is impaired.
fn impaired(facts: &Facts, rules: &Rules) -> Option<Finding> {
    let (wish, checks) = (rules.on_impaired?, facts.checks.as_ref()?);
    let failing = checks.failing().join(" and ");
    // A check may fail while the instance boots; EC2 then says that it has failed since the launch.
    if facts.state != State::Running || failing.is_empty() || facts.age()? < rules.grace_minutes * 60 {
        return None;
    }
    let finding = |wish, reason| Some(Finding { rule: Rule::Impaired, wish, reason });
    let Some(since) = checks.impaired_since else {
        return finding(Wish::Report, format!("the {failing} check fails, and EC2 does not say since when"));
    };
    if !checks.are_impaired(facts.at) {
        return None;
    }
    let reason = format!("the {failing} check has failed since {since}");
    match unless_in_use(facts, rules, wish, reason.clone()) {
        Some((wish, reason)) => finding(wish, reason),
        None => finding(Wish::Report, format!("{reason}, but the owner's heartbeat is recent")),
    }
}

/// A worker whose owner has given no sign of life for as long as the rule says. What cannot be stopped any more is only
/// terminated.
fn orphan(facts: &Facts, rules: &Rules) -> Option<Finding> {
    let (wish, launched) = (rules.on_orphan?, facts.launched_at?);
    let can_act = match facts.state {
        State::Running => true,
        State::Stopped => wish != Wish::Stop,
        _ => false,
    };
    if !can_act || facts.age()? < rules.grace_minutes * 60 {
        return None;
    }
    let finding = |wish, reason| Some(Finding { rule: Rule::Orphan, wish, reason });
    match Heartbeat::of(facts) {
        Heartbeat::Unreadable => finding(Wish::Report, unreadable(facts)),
        Heartbeat::At(at) if facts.at.since(at) < rules.heartbeat_minutes * 60 => None,
        Heartbeat::At(at) => finding(wish, format!("the last heartbeat came at {at}")),
        Heartbeat::None => finding(wish, format!("no heartbeat came since the start at {launched}")),
    }
}
