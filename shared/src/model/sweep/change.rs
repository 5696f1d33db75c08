//! What happened to a worker since the sweep last looked, as events tell it.

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;

use crate::model::state::State;
use crate::model::sweep::facts::Facts;
use crate::model::sweep::mark::Mark;
use crate::model::sweep::{ACTED_KEY, SEEN_KEY, SWEEP};
use crate::model::time::Moment;

/// Until so many seconds after the sweep acted, a change to the state that it asked for is its doing.
const ITS_DOING: u64 = 600;

/// What is remembered instead of a state that EC2's events tell.
const TOLD_BY_EC2: &str = "-";

/// What changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeKind {
    /// EC2's state.
    State,
    /// Status checks began to fail, two minutes ago or longer.
    Impaired,
    /// The status checks are good again.
    Recovered,
    /// AWS has scheduled an event, such as a retirement.
    ScheduledEvent,
    /// The sweep has marked the worker.
    Marked,
    /// The sweep has taken its mark back.
    Unmarked,
    /// The sweep has stopped the worker.
    Stopped,
    /// The sweep has terminated the worker.
    Terminated,
    /// EC2 will interrupt the Spot instance in two minutes.
    SpotInterruption,
    /// The Spot instance is at an elevated risk of interruption.
    RebalanceRecommendation,
}

/// The detail of an event `cml.workers`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The region of the worker.
    pub region: String,
    /// The worker.
    pub instance_id: String,
    /// Its tag `Name`.
    pub name: Option<String>,
    /// What changed.
    pub change: ChangeKind,
    /// What it was before, where that is known.
    pub from: Option<String>,
    /// What it is now.
    pub to: Option<String>,
    /// Why, in EC2's words or in those of the rule.
    pub cause: Option<String>,
    /// Who asked for it, where EC2 or a tag says so.
    pub by: Option<String>,
    /// When it was seen.
    pub at: Moment,
}

impl Change {
    /// A change of a worker; its cause and who asked are not known.
    #[must_use]
    pub fn new(facts: &Facts, change: ChangeKind) -> Self {
        Self {
            region: facts.region.clone(),
            instance_id: facts.instance_id.clone(),
            name: facts.name.clone(),
            change,
            from: None,
            to: None,
            cause: None,
            by: None,
            at: facts.at,
        }
    }

    /// A change of the state.
    #[must_use]
    pub fn of_state(facts: &Facts, from: Option<String>) -> Self {
        Self {
            from,
            to: Some(facts.state.to_string()),
            cause: facts.state_reason.clone().filter(|_| facts.state != State::Running),
            by: who_asked(facts),
            ..Self::new(facts, ChangeKind::State)
        }
    }
}

/// Who asked for the state that a worker has: the sweep, if it has just acted, and for a launch the caller.
fn who_asked(facts: &Facts) -> Option<String> {
    let acted = facts.tag(ACTED_KEY).and_then(Mark::parse);
    match facts.state {
        State::Stopping | State::Stopped | State::ShuttingDown | State::Terminated => {
            let is_since_start = |acted: &Mark| facts.launched_at.is_none_or(|launched| launched <= acted.at);
            let is_recent = |acted: &Mark| facts.at.since(acted.at) <= ITS_DOING;
            acted.filter(|acted| is_recent(acted) && is_since_start(acted)).map(|_| SWEEP.to_owned())
        }
        // EC2 does not say who started a worker again.
        State::Pending if acted.is_none() && facts.tag(SEEN_KEY).is_none() => facts.created_by.clone(),
        _ => None,
    }
}

/// What the sweep last published about a worker: `running ok instance-retirement`. In the stack's own region, where EC2 tells
/// the changes of state, the state is `-`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    state: String,
    is_impaired: bool,
    events: BTreeSet<String>,
}

impl Seen {
    /// Reads the tag.
    #[must_use]
    pub(crate) fn of(facts: &Facts) -> Option<Self> {
        let mut words = facts.tag(SEEN_KEY)?.split(' ');
        let (state, checks) = (words.next()?.to_owned(), words.next()?);
        Some(Self { state, is_impaired: checks == "impaired", events: words.map(str::to_owned).collect() })
    }

    /// What there is to see now. Checks that EC2 did not report are taken to be as they were.
    fn now(facts: &Facts, before: Option<&Self>, is_told_by_ec2: bool) -> Self {
        let checks = facts.checks.as_ref().filter(|_| facts.state == State::Running);
        let (was_impaired, known) =
            before.map(|before| (before.is_impaired, before.events.clone())).unwrap_or_default();
        let (is_impaired, events) = match checks {
            Some(checks) if checks.are_impaired(facts.at) => (true, checks.events.keys().cloned().collect()),
            // Without enough data, a check is taken to be as it was.
            Some(checks) => (was_impaired && !checks.are_passed(), checks.events.keys().cloned().collect()),
            None if facts.state == State::Running => (was_impaired, known),
            None => (false, BTreeSet::new()),
        };
        let state = if is_told_by_ec2 { TOLD_BY_EC2.to_owned() } else { facts.state.to_string() };
        Self { state, is_impaired, events }
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.state, if self.is_impaired { "impaired" } else { "ok" })?;
        self.events.iter().try_for_each(|event| write!(f, " {event}"))
    }
}

/// What changed since the sweep last looked, and what it should remember; nothing to remember if that is as before.
///
/// EC2 tells the changes of state of the stack's own region by itself: they are not compared.
#[must_use]
pub fn changes(facts: &Facts, is_told_by_ec2: bool) -> (Vec<Change>, Option<String>) {
    let before = Seen::of(facts);
    // Tags of a terminated instance go one by one: without them nobody knows what was published.
    if before.is_none() && facts.state.is_gone() {
        return (Vec::new(), None);
    }
    let now = Seen::now(facts, before.as_ref(), is_told_by_ec2);
    let mut changes = Vec::new();
    let old_state = before.as_ref().map(|before| before.state.clone());
    // A sweep of another stack in the worker's own region remembers no state.
    let is_known = old_state.as_deref() != Some(TOLD_BY_EC2);
    if !is_told_by_ec2 && is_known && old_state.as_deref() != Some(now.state.as_str()) {
        changes.push(Change::of_state(facts, old_state));
    }
    let was_impaired = before.as_ref().is_some_and(|before| before.is_impaired);
    if now.is_impaired != was_impaired && facts.state == State::Running {
        let kind = if now.is_impaired { ChangeKind::Impaired } else { ChangeKind::Recovered };
        let failing = facts.checks.as_ref().map(|checks| checks.failing().join(" and ")).filter(|_| now.is_impaired);
        changes.push(Change {
            cause: failing.map(|failing| format!("the {failing} check fails")),
            ..Change::new(facts, kind)
        });
    }
    let known = before.as_ref().map(|before| before.events.clone()).unwrap_or_default();
    for code in now.events.difference(&known) {
        let begin = facts.checks.as_ref().and_then(|checks| checks.events.get(code).cloned().flatten());
        let cause = begin.map(|begin| format!("not before {begin}"));
        changes.push(Change { to: Some(code.clone()), cause, ..Change::new(facts, ChangeKind::ScheduledEvent) });
    }
    let text = now.to_string();
    let is_new = facts.tag(SEEN_KEY) != Some(text.as_str());
    (changes, is_new.then_some(text))
}
