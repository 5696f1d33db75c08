//! What must be true of every history, and what `docs/API.md` excepts.

use std::collections::BTreeMap;

use super::ec2::{FOREIGN, Instance, MOST_LAG, SHOWN};
use super::history::Answered;
use super::kind::{Kind, MOST_LATE};
use super::operation::TIMEOUT;
use super::program::{CALLERS, Call, Launch, NO_KEY, REGIONS};

/// What must be true.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Invariant {
    /// Of one caller, region, key and body at most one instance is alive at any time.
    OneAlive,
    /// A key whose worker was terminated launches no other while EC2 shows that.
    OneLife,
    /// What an answer names was launched for that very request, and `CreatedBy` says by whom.
    Own,
    /// A key with which nothing was launched launches when it is sent again.
    NotDead,
    /// What was launched and is alive is named when its request is sent again.
    Named,
    /// A request that was answered well is answered well again, with the same instance, which it did not create.
    Replayed,
    /// What was called retryable can be sent again with success.
    RetryableIsRight,
    /// What was refused for good is refused again.
    FinalIsFinal,
    /// Two sendings at once are not both told that they launched, if one was sent after the launch.
    CreatedOnce,
    /// Without a key no more is launched than was sent, and what may be sent again launched nothing.
    WithoutKey,
    /// Somebody else's instance is never changed.
    ForeignUntouched,
    /// An instance is changed only by a call that names it.
    OnlyNamed,
    /// A worker that is said to be taken back was.
    TakenBack,
    /// Tags that are said to be set or removed are.
    TagsChanged,
    /// Many instances have a result each, in their order.
    EachItsResult,
    /// An error has a code, a detail and says whether to send it again.
    ErrorsSpeak,
    /// A request is answered before the function's time is up.
    InTime,
    /// A request makes few calls.
    FewCalls,
}

/// All of them.
pub const INVARIANTS: [Invariant; 18] = [
    Invariant::OneAlive,
    Invariant::OneLife,
    Invariant::Own,
    Invariant::NotDead,
    Invariant::Named,
    Invariant::Replayed,
    Invariant::RetryableIsRight,
    Invariant::FinalIsFinal,
    Invariant::CreatedOnce,
    Invariant::WithoutKey,
    Invariant::ForeignUntouched,
    Invariant::OnlyNamed,
    Invariant::TakenBack,
    Invariant::TagsChanged,
    Invariant::EachItsResult,
    Invariant::ErrorsSpeak,
    Invariant::InTime,
    Invariant::FewCalls,
];

/// What `docs/API.md` excepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exception {
    /// From [`Invariant::OneAlive`].
    Twins,
    /// From [`Invariant::OneAlive`].
    InFlight,
    /// From [`Invariant::OneAlive`] and [`Invariant::FinalIsFinal`].
    Lagging,
    /// From [`Invariant::OneLife`] and [`Invariant::FinalIsFinal`].
    Forgotten,
    /// From [`Invariant::CreatedOnce`].
    AtOnce,
    /// From [`Invariant::FinalIsFinal`].
    TwoBodies,
    /// From [`Invariant::NotDead`] and [`Invariant::RetryableIsRight`].
    BoundTwice,
}

/// All of them.
pub const EXCEPTIONS: [Exception; 7] = [
    Exception::Twins,
    Exception::InFlight,
    Exception::Lagging,
    Exception::Forgotten,
    Exception::AtOnce,
    Exception::TwoBodies,
    Exception::BoundTwice,
];

impl Exception {
    /// The words of `docs/API.md`.
    pub fn text(self) -> &'static str {
        match self {
            Self::Twins => {
                "If a launch with `alternatives` or `on_demand_fallback` is sent again before EC2's reads show the first \
                 worker, and if it then finds capacity where the first request found none, it launches a second worker"
            }
            Self::InFlight => {
                "If EC2 has bound the key to a launch that failed, and if the image's name has come to mean another image \
                 since then, two requests that run at the same time may each launch a worker"
            }
            Self::Lagging => "EC2's reads may lag by more than the 15 seconds that are assumed here",
            Self::Forgotten => {
                "If a request is sent again after EC2 has forgotten the worker, it may launch another worker"
            }
            Self::AtOnce => {
                "A second request that is sent within two seconds of the launch may also be told `\"created\": true`, with \
                 the same worker"
            }
            Self::TwoBodies => {
                "If one key is sent with two bodies within seconds, and there are two client tokens for it because of a zone \
                 or an alternative, both requests may launch. Until EC2's reads show both workers, either request may be \
                 answered as if its key belonged to another request."
            }
            Self::BoundTwice => {
                "If EC2 has bound a key to two launches that failed, each with another image or body, the key is always \
                 answered with 409: use a new key"
            }
        }
    }
}

/// The most calls of AWS that one request makes: a look every half second for as long as reads can lag, each tried three
/// times at worst, and what comes before and after.
const MOST_CALLS: u64 = 100;

/// A sending within this time of a launch cannot be told from the one that launched: EC2 writes whole seconds.
const AT_ONCE: u64 = 2_000;

/// How long EC2 keeps a token beyond its instance.
const KEPT: u64 = 86_400_000;

/// For how long after its begin a request can launch.
const LAUNCHES_WITHIN: u64 = TIMEOUT.as_millis() as u64;

/// The AWS of a history, as far as an exception depends on it.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// Which of them it is.
    pub kind: &'a Kind,
    /// The names of the workers whose launch failed and is bound to its token all the same, each with its region.
    pub bound: &'a [(String, String)],
}

/// What was looked at in a history, and what was wrong.
#[derive(Debug, Clone, Default)]
pub struct Findings {
    /// How often each invariant was looked at where it could have been broken.
    pub looked_at: BTreeMap<Invariant, u64>,
    /// How often each exception was made.
    pub excepted: BTreeMap<Exception, u64>,
    /// What is wrong, in words.
    pub violations: Vec<String>,
}

impl Findings {
    fn check(&mut self, invariant: Invariant, holds: bool, what: impl FnOnce() -> String) {
        *self.looked_at.entry(invariant).or_default() += 1;
        if !holds {
            self.violations.push(format!("{invariant:?}: {}", what()));
        }
    }

    /// The same, where `docs/API.md` may except it.
    fn check_but(
        &mut self,
        invariant: Invariant,
        holds: bool,
        exception: Exception,
        applies: bool,
        what: impl FnOnce() -> String,
    ) {
        if !holds && applies {
            *self.excepted.entry(exception).or_default() += 1;
        }
        self.check(invariant, holds || applies, what);
    }

    /// A history whose requests are all answered.
    pub fn of(&mut self, aws: Seen<'_>, answered: &[Answered], instances: &[Instance]) {
        for one in answered {
            self.of_answer(one, instances);
        }
        let requests: BTreeMap<_, &Launch> =
            keyed(answered).map(|(launch, _)| ((launch.name(), launch.region), launch)).collect();
        for launch in requests.into_values() {
            self.of_key(aws, launch, answered, instances);
        }
        self.of_keyless(answered, instances);
        self.of_changes(answered, instances);
    }

    fn of_answer(&mut self, one: &Answered, instances: &[Instance]) {
        let told = || {
            format!(
                "{:?} {:?} answered {} {} from {} to {}",
                one.call, one.ids, one.status, one.document, one.from, one.to
            )
        };
        let took = u128::from(one.to - one.from);
        self.check(Invariant::InTime, took < TIMEOUT.as_millis(), told);
        self.check(Invariant::FewCalls, one.calls <= MOST_CALLS, || format!("{} calls: {}", one.calls, told()));
        if !one.is_good() && one.document.get("checks").is_none() {
            let document = &one.document;
            let speaks =
                document["code"].is_string() && document["detail"].is_string() && document["retryable"].is_boolean();
            self.check(Invariant::ErrorsSpeak, speaks, told);
        }
        let instance = |id: &str| instances.iter().find(|instance| instance.id == id);
        if let (Call::Launch(launch), true, Some(id)) = (&one.call, one.is_good(), one.instance()) {
            let by = Some(CALLERS[launch.caller].created_by());
            let is_own = |instance: &Instance| {
                let tags = instance.tags.first().map(|(_, tags)| tags);
                is_of(instance, launch) && tags.and_then(|tags| tags.get("CreatedBy")).map(String::as_str) == by
            };
            self.check(Invariant::Own, instance(id).is_some_and(is_own), told);
        }
        let detail = one.document["detail"].as_str().unwrap_or_default();
        if one.document["code"] == "incorrect_state" && detail.starts_with("EC2 accepted the call") {
            // What is gone stays so, and may have been gone before; what is stopped must have come to that since.
            let is_so = |since: u64, state: &str| match state {
                "shutting-down" | "terminated" => since <= one.to,
                "stopping" | "stopped" => (one.from..=one.to).contains(&since),
                _ => false,
            };
            let is_back = |instance: &Instance| {
                detail.contains(&instance.id) && instance.states.iter().any(|(since, state, _)| is_so(*since, state))
            };
            self.check(Invariant::TakenBack, instances.iter().any(is_back), told);
        }
        let (tag, is_set) = match &one.call {
            Call::Other("update-instance-tags", _) => (Some("x"), true),
            Call::Other("delete-instance-tags", _) => (None, true),
            _ => (None, false),
        };
        if let (true, true, Some(id)) = (is_set, one.is_good(), one.instance()) {
            let changed = instance(id).is_some_and(|instance| {
                let mut then = instance.tags.iter().filter(|(since, _)| (one.from..=one.to).contains(since));
                then.any(|(_, tags)| tags.get("note").map(String::as_str) == tag && tags.contains_key("ManagedBy"))
            });
            self.check(Invariant::TagsChanged, changed, told);
        }
        if let (Call::Change(_, numbers, _), true) = (&one.call, one.is_good())
            && numbers.len() > 1
        {
            let results = one.document["results"].as_array().cloned().unwrap_or_default();
            let ids: Vec<&str> = results.iter().filter_map(|result| result["instance_id"].as_str()).collect();
            self.check(Invariant::EachItsResult, ids == one.ids, told);
        }
    }

    /// All that one caller sent with one key and body.
    fn of_key(&mut self, aws: Seen<'_>, launch: &Launch, answered: &[Answered], instances: &[Instance]) {
        let of_launch = |instance: &&Instance| is_of(instance, launch);
        let launched: Vec<&Instance> = instances.iter().filter(of_launch).collect();
        let sendings: Vec<&Answered> =
            keyed(answered).filter(|(other, _)| is_same(other, launch)).map(|(_, answered)| answered).collect();
        let told = || {
            let launched: Vec<String> = launched.iter().map(|one| format!("{} at {}", one.id, one.begin())).collect();
            format!("{launch:?} launched {}", launched.join(", "))
        };
        let mut sorted = launched.clone();
        sorted.sort_by_key(|instance| instance.begin());
        for (place, second) in sorted.iter().enumerate() {
            for first in &sorted[..place] {
                self.of_pair(aws, launch, &sendings, first, second, told);
            }
        }
        if let [only] = &sorted[..]
            && sendings.len() > 1
        {
            self.check(Invariant::OneAlive, true, told);
            if only.end().is_some_and(|end| sendings.iter().any(|one| one.from > end)) {
                self.check(Invariant::OneLife, true, told);
            }
        }
        for instance in &launched {
            let creators: Vec<&&Answered> = sendings
                .iter()
                .filter(|one| one.instance() == Some(&instance.id) && one.document["created"] == true)
                .collect();
            if creators.is_empty() {
                continue;
            }
            let at_once = creators.iter().all(|one| one.from <= instance.begin() + AT_ONCE);
            self.check_but(Invariant::CreatedOnce, creators.len() == 1, Exception::AtOnce, at_once, told);
        }
    }

    /// Two instances that one caller launched with one key and body, the first one first.
    fn of_pair(
        &mut self,
        aws: Seen<'_>,
        launch: &Launch,
        sendings: &[&Answered],
        first: &Instance,
        second: &Instance,
        told: impl Fn() -> String,
    ) {
        let then = second.begin();
        // Of two sendings, and each could have launched before a read showed it what the other one did.
        let could = |one: &&&Answered, instance: &Instance| (one.from..=one.to + MOST_LATE).contains(&instance.begin());
        let by = |instance: &Instance| sendings.iter().filter(|one| could(one, instance)).count();
        let is_soon = then - first.begin() <= MOST_LAG + LAUNCHES_WITHIN + MOST_LATE;
        let are_two = sendings.len() > 1 && by(first) > 0 && by(second) > 0 && is_soon;
        let of = |instance: &Instance| (instance.kind.clone(), instance.subnet.clone(), instance.spot);
        let is_fallback = launch.falls_back() && of(first) != of(second);
        let is_moved = failures_of(aws.bound, launch) > 0 && launch.names_an_image() && first.image != second.image;
        let invariant = if first.is_alive(then) { Invariant::OneAlive } else { Invariant::OneLife };
        let (exception, applies) = if invariant == Invariant::OneLife && is_forgotten(aws.kind, launch, first, then) {
            (Exception::Forgotten, true)
        } else if aws.kind.lag > MOST_LAG {
            (Exception::Lagging, sendings.len() > 1)
        } else if is_moved {
            (Exception::InFlight, are_two)
        } else {
            (Exception::Twins, are_two && is_fallback)
        };
        self.check_but(invariant, false, exception, applies, told);
    }

    fn of_keyless(&mut self, answered: &[Answered], instances: &[Instance]) {
        let keyless = |answered: &&Answered| matches!(&answered.call, Call::Launch(launch) if launch.key.is_none());
        let sent: Vec<&Answered> = answered.iter().filter(keyless).collect();
        if sent.is_empty() {
            return;
        }
        let launched = instances.iter().filter(|instance| name(instance).contains(NO_KEY)).count();
        let owned_up = sent.iter().filter(|answered| answered.is_good() || !answered.is_retryable()).count();
        self.check(Invariant::WithoutKey, launched <= owned_up, || {
            format!(
                "{launched} launches without a key, and {owned_up} of {} that were not called repeatable",
                sent.len()
            )
        });
    }

    fn of_changes(&mut self, answered: &[Answered], instances: &[Instance]) {
        for instance in instances {
            let naming: Vec<&str> =
                answered.iter().filter(|one| one.ids.contains(&instance.id)).map(operation).collect();
            if instance.id == FOREIGN && naming.iter().any(|operation| action(operation).is_some()) {
                self.check(Invariant::ForeignUntouched, instance.changed_by.is_empty(), || {
                    format!("somebody else's instance: {:?}", instance.changed_by)
                });
            }
            for changed_by in &instance.changed_by {
                let is_named = naming.iter().any(|operation| action(operation) == Some(changed_by));
                self.check(Invariant::OnlyNamed, is_named, || {
                    format!("{changed_by} of {}, which no call named", instance.id)
                });
            }
        }
    }

    /// A launch with a key, sent once more now that nothing fails. `before` and `after` are all instances around that.
    pub fn of_replay(
        &mut self,
        aws: Seen<'_>,
        was: &Answered,
        again: &Answered,
        before: &[Instance],
        after: &[Instance],
    ) {
        let Call::Launch(launch) = &was.call else { return };
        let told =
            || format!("{:?}: {} {}, and again: {} {}", launch, was.status, was.document, again.status, again.document);
        let own: Vec<&Instance> = before.iter().filter(|instance| is_of(instance, launch)).collect();
        let (alive, gone): (Vec<&Instance>, Vec<&Instance>) =
            own.into_iter().partition(|instance| instance.is_alive(again.from));
        let is_used_otherwise =
            before.iter().any(|instance| has_key(name(instance), &instance.region, launch) && !is_of(instance, launch));
        let is_shown = gone.iter().any(|instance| instance.state(again.from).is_some());
        let is_bound_twice = failures_of(aws.bound, launch) > 1 && again.document["code"] == "idempotency_mismatch";
        if alive.is_empty() && gone.is_empty() && !is_used_otherwise {
            self.check_but(Invariant::NotDead, again.is_good(), Exception::BoundTwice, is_bound_twice, told);
        }
        if !was.is_good() && was.is_retryable() && gone.is_empty() && !(alive.is_empty() && is_used_otherwise) {
            self.check_but(Invariant::RetryableIsRight, again.is_good(), Exception::BoundTwice, is_bound_twice, told);
        }
        if let ([first], true) = (&alive[..], was.is_good())
            && was.instance() == Some(&first.id)
        {
            // 202 is for what is still on its way.
            let status = if first.state(again.from) == Some("pending") { [200, 202] } else { [200, 200] };
            let is_same = status.contains(&again.status)
                && again.instance() == was.instance()
                && again.document["created"] == false;
            self.check(Invariant::Replayed, is_same, told);
        }
        if !alive.is_empty() {
            self.check(Invariant::OneAlive, after.len() == before.len(), told);
        }
        for instance in &alive {
            let is_named = again.is_good() && again.document.to_string().contains(&instance.id);
            self.check(Invariant::Named, is_named, told);
        }
        if alive.is_empty() && is_shown {
            self.check(Invariant::OneLife, after.len() == before.len() && !again.is_good(), told);
        }
        // That somebody else stops a worker which is waited for ends the wait and not the launch.
        let is_ended = was.document["code"] == "incorrect_state";
        if !was.is_good() && !is_ended && !was.is_retryable() {
            // Its own worker was launched, and the reads of this sending need not have shown it.
            let is_hidden = |instance: &&Instance| instance.begin() + aws.kind.lag.max(MOST_LAG) >= was.from;
            let is_called_anothers = is_used_otherwise && was.document["code"] == "idempotency_mismatch";
            let forgotten = gone.iter().all(|gone| is_forgotten(aws.kind, launch, gone, again.from));
            // Of two that were launched the one can be gone when the sending that launches the other is not yet there.
            let is_launched_twice = !alive.is_empty() && !gone.is_empty();
            let (exception, applies) = if is_launched_twice && launch.falls_back() {
                (Exception::Twins, true)
            } else if is_launched_twice && aws.kind.lag > MOST_LAG {
                (Exception::Lagging, true)
            } else if is_called_anothers && alive.iter().any(is_hidden) {
                (if aws.kind.lag > MOST_LAG { Exception::Lagging } else { Exception::TwoBodies }, true)
            } else {
                // What was used up then, by this body or another one, may be forgotten now.
                (Exception::Forgotten, forgotten && again.from - was.from >= SHOWN)
            };
            self.check_but(Invariant::FinalIsFinal, !again.is_good(), exception, applies, told);
        }
    }
}

/// The launches with a key.
fn keyed(answered: &[Answered]) -> impl Iterator<Item = (&Launch, &Answered)> {
    answered.iter().filter_map(|answered| match &answered.call {
        Call::Launch(launch) if launch.key.is_some() => Some((launch, answered)),
        _ => None,
    })
}

fn operation(answered: &Answered) -> &'static str {
    match &answered.call {
        Call::Launch(_) => "create-instance",
        Call::Change(operation, ..) | Call::Other(operation, _) => operation,
    }
}

/// The one call of EC2 with which an operation changes an instance.
fn action(operation: &str) -> Option<&'static str> {
    match operation {
        "start-instance" => Some("StartInstances"),
        "stop-instance" => Some("StopInstances"),
        "terminate-instance" => Some("TerminateInstances"),
        "update-instance-tags" => Some("CreateTags"),
        "delete-instance-tags" => Some("DeleteTags"),
        _ => None,
    }
}

/// How many launches with this launch's key failed and are bound to its tokens.
fn failures_of(bound: &[(String, String)], launch: &Launch) -> usize {
    bound.iter().filter(|(region, name)| has_key(name, region, launch)).count()
}

/// Whether a worker of this name, in this region, is one of this launch's key.
fn has_key(name: &str, region: &str, launch: &Launch) -> bool {
    region == REGIONS[launch.region] && name.starts_with(&launch.name_without_body())
}

/// Whether EC2 need not know any more what a gone instance was launched for: it shows it no longer, and either its token is
/// forgotten too or this launch asks with another one.
fn is_forgotten(kind: &Kind, launch: &Launch, gone: &Instance, then: u64) -> bool {
    let asks_otherwise =
        launch.falls_back() || kind.failures_bind || kind.moves_by(then) > 0 && launch.names_an_image();
    let is_kept = gone.end().is_some_and(|end| then < end + KEPT);
    gone.state(then).is_none() && (asks_otherwise || !is_kept)
}

fn is_same(one: &Launch, other: &Launch) -> bool {
    one.has_key_of(other) && one.body == other.body
}

fn name(instance: &Instance) -> &str {
    instance.tags.first().and_then(|(_, tags)| tags.get("Name")).map_or("", String::as_str)
}

/// Whether an instance was launched for this request.
fn is_of(instance: &Instance, launch: &Launch) -> bool {
    name(instance) == launch.name() && instance.region == REGIONS[launch.region]
}
