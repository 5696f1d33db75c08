//! What start, stop and terminate have in common: one instance or many, already there, dry runs, waiting.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use aws_sdk_ec2::types::InstanceStateChange;
use deserr::{Deserr, IntoValue, Sequence, Value, ValueKind, ValuePointerRef};
use serde::Serialize;
use tokio::time::Instant;

use crate::aws::all_or_none::{self, Call};
use crate::aws::clients::Clients;
use crate::error::{Code, Error};
use crate::input::{Invalid, both, wrong_kind};
use crate::model::instance::{
    Instance, InstanceId, StateChange, Worker, find_all_managed, find_managed, incorrect_state,
};
use crate::model::mutation::{Mutation, Permitted};
use crate::model::region::Region;
use crate::model::wait::{Progress, Until, Wait, WaitQuery};

/// The most instances that one request may name.
pub const MAX_INSTANCES: usize = 100;

/// The path: one instance, or a region whose instances the body names.
#[derive(Debug, Clone, deserr::Deserr)]
#[deserr(error = Invalid)]
pub struct Place {
    /// The region.
    pub region: Region,
    /// The instance.
    #[deserr(default)]
    pub instance_id: Option<InstanceId>,
}

/// A body that can name instances, and nothing else.
#[derive(Debug, Clone, Default, deserr::Deserr)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[deserr(error = Invalid, deny_unknown_fields)]
pub struct InstancesBody {
    /// For the paths without an instance.
    #[deserr(default)]
    pub instance_ids: Option<InstanceIds>,
}

/// 1 to 100 instances, each once.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(value_type = BTreeSet<InstanceId>, min_items = 1, max_items = 100))]
pub struct InstanceIds(Vec<InstanceId>);

impl Deserr<Invalid> for InstanceIds {
    fn deserialize_from_value<V: IntoValue>(value: Value<V>, location: ValuePointerRef) -> Result<Self, Invalid> {
        let Value::Sequence(values) = value else { return Err(wrong_kind(value, &[ValueKind::Sequence], location)) };
        if !(1..=MAX_INSTANCES).contains(&values.len()) {
            let detail = format!("must have 1 to {MAX_INSTANCES} elements, and has {}", values.len());
            return Err(Invalid::at(location, detail));
        }
        let (mut ids, mut seen, mut invalid) = (Vec::new(), BTreeSet::new(), Invalid::default());
        for (index, value) in values.into_iter().enumerate() {
            let here = location.push_index(index);
            match InstanceId::deserialize_from_value(value.into_value(), here) {
                Ok(id) if seen.insert(id.clone()) => ids.push(id),
                Ok(id) => invalid = invalid.and(Invalid::at(here, format!("names {id} again"))),
                Err(more) => invalid = invalid.and(more),
            }
        }
        invalid.none_or(Self(ids))
    }
}

/// What a caller wants done, whichever of the three it is.
#[derive(Debug, Clone)]
pub struct Order {
    target: Target,
    dry_run: bool,
}

/// To what it is to be done. Many instances are not waited for: each could take all the time there is.
#[derive(Debug, Clone)]
enum Target {
    One(Worker, Option<Wait>),
    Many(Region, Vec<InstanceId>),
}

impl Order {
    /// Reads path, query and body together.
    ///
    /// # Errors
    /// [`Invalid`] if path and body both name instances or neither does, or if many are to be waited for.
    pub fn new<W: Into<Until>>(place: Place, query: WaitQuery<W>, ids: Option<InstanceIds>) -> Result<Self, Invalid> {
        let Place { region, instance_id } = place;
        let wait = query.wait.map(|until| Wait::new(until.into()));
        let target = match instance_id {
            Some(instance_id) => Target::one(Worker { region, instance_id }, ids, wait)?,
            None => Target::many(region, ids, wait)?,
        };
        Ok(Self { target, dry_run: query.dry_run })
    }

    /// Where it is to be done.
    #[must_use]
    pub fn region(&self) -> &Region {
        match &self.target {
            Target::One(worker, _) => &worker.region,
            Target::Many(region, _) => region,
        }
    }

    /// For one instance.
    #[cfg(test)]
    pub(crate) fn one(worker: Worker, dry_run: bool, wait: Option<Wait>) -> Self {
        Self { target: Target::One(worker, wait), dry_run }
    }

    /// For many instances.
    #[cfg(test)]
    pub(crate) fn many(region: Region, instance_ids: Vec<InstanceId>, dry_run: bool) -> Self {
        Self { target: Target::Many(region, instance_ids), dry_run }
    }
}

impl Target {
    fn one(worker: Worker, ids: Option<InstanceIds>, wait: Option<Wait>) -> Result<Self, Invalid> {
        match ids {
            Some(_) => Err(Invalid::field("instance_ids", "is for the path without an instance: this one has its own")),
            None => Ok(Self::One(worker, wait)),
        }
    }

    fn many(region: Region, ids: Option<InstanceIds>, wait: Option<Wait>) -> Result<Self, Invalid> {
        let ids = ids.ok_or_else(|| Invalid::field("instance_ids", "is required"));
        let no_wait = match wait {
            Some(_) => Err(Invalid::field("wait", "is for one instance: ask for their states instead")),
            None => Ok(()),
        };
        both(ids, no_wait).map(|(InstanceIds(ids), ())| Self::Many(region, ids))
    }
}

/// What start, stop and terminate answer: for one instance, or for each of many.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub enum StateChanges {
    /// The path named the instance.
    One(StateChange),
    /// The body named them.
    Many(Results),
}

/// `{"results":[…]}`, in the order that was asked for. [`crate::api::http`] writes it.
#[derive(Debug, Clone)]
pub struct Results(pub Vec<InstanceResult>);

/// What became of one of many instances.
#[derive(Debug, Clone)]
pub struct InstanceResult {
    /// The instance.
    pub instance_id: InstanceId,
    /// What was done, or why it was not.
    pub outcome: Result<Outcome, Error>,
}

/// What was done to an instance.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// It changes its state, or already was there.
    Changed(StateChange),
    /// A dry run would have been permitted.
    Permitted(Permitted),
}

/// What is to be done with an instance in some state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Tell EC2.
    Send,
    /// It is already there.
    Nothing,
    /// It cannot be done. The word goes into the error: "started".
    Refuse(&'static str),
    /// It cannot be done yet.
    RefuseForNow(&'static str),
}

/// One of the three calls.
pub(crate) trait Change: Call + Sized {
    /// What an instance in this state needs.
    fn step(&self, state: &str) -> Step;

    /// What to send instead of a call that EC2 refused with this error, and how the answer explains it.
    fn instead(&self, _: &Error) -> Option<(Self, &'static str)> {
        None
    }
}

/// Carries an order out.
///
/// # Errors
/// For one instance all that [`find_managed`] refuses, the state does not allow or EC2 refuses; for many only a failed
/// read: what else fails is in the results.
pub(crate) async fn carry_out<C: Change>(
    clients: &Clients,
    order: &Order,
    change: C,
) -> Result<Mutation<StateChanges>, Error> {
    let job = Job { change, dry_run: order.dry_run, end: all_or_none::end() };
    match &order.target {
        Target::One(worker, wait) => job.one(clients, worker, wait.as_ref()).await,
        Target::Many(region, ids) => job.many(clients, region, ids).await,
    }
}

/// A call, and how to send it.
struct Job<C> {
    change: C,
    dry_run: bool,
    end: Instant,
}

/// What EC2 said of an instance, and what was done otherwise than asked for.
struct Answer {
    result: Result<Option<InstanceStateChange>, Error>,
    note: Option<&'static str>,
}

type Answers = BTreeMap<InstanceId, Answer>;

impl<C: Change> Job<C> {
    async fn one(
        &self,
        clients: &Clients,
        worker: &Worker,
        wait: Option<&Wait>,
    ) -> Result<Mutation<StateChanges>, Error> {
        let (id, instance) = (&worker.instance_id, find_managed(clients, worker).await?);
        let to_send = if self.is_to_be_sent(&instance) { vec![id.clone()] } else { Vec::new() };
        let told = clients.now();
        let answer = self.send(to_send).await.remove(id);
        match self.outcome(id, &instance, answer)? {
            Outcome::Permitted(permitted) => Ok(Mutation::DryRun(permitted)),
            Outcome::Changed(change) => follow(clients, worker, wait, told, change).await,
        }
    }

    async fn many(
        &self,
        clients: &Clients,
        region: &Region,
        ids: &[InstanceId],
    ) -> Result<Mutation<StateChanges>, Error> {
        let found = find_all_managed(clients, region, ids).await?;
        let is_to_be_sent = |found: &Result<Instance, Error>| found.as_ref().is_ok_and(|i| self.is_to_be_sent(i));
        let to_send = ids.iter().zip(&found).filter(|(_, found)| is_to_be_sent(found)).map(|(id, _)| id.clone());
        let mut answers = self.send(to_send.collect()).await;
        let result = |(id, found): (&InstanceId, Result<Instance, Error>)| InstanceResult {
            instance_id: id.clone(),
            outcome: found.and_then(|instance| self.outcome(id, &instance, answers.remove(id))),
        };
        let results = Results(ids.iter().zip(found).map(result).collect());
        Ok(if results.are_all_permitted() {
            Mutation::DryRun(Permitted::YES)
        } else {
            Mutation::Done(StateChanges::Many(results))
        })
    }

    /// A dry run is about the permission: EC2 is asked whatever the state.
    fn is_to_be_sent(&self, instance: &Instance) -> bool {
        self.dry_run || self.change.step(&instance.state) == Step::Send
    }

    /// Sends the call, and for the instances where EC2 does not support it what there is instead.
    async fn send(&self, ids: Vec<InstanceId>) -> Answers {
        let answers = all_or_none::send(&self.change, ids, self.dry_run, self.end).await;
        let instead = |result: &Result<_, Error>| self.change.instead(result.as_ref().err()?);
        let other = answers.values().find_map(instead);
        let (unsupported, rest): (all_or_none::Answers, all_or_none::Answers) =
            answers.into_iter().partition(|(_, result)| instead(result).is_some());
        let mut answers = noted(rest, None);
        if let Some((other, note)) = other {
            let again = all_or_none::send(&other, unsupported.into_keys().collect(), self.dry_run, self.end).await;
            answers.extend(noted(again, Some(note)));
        }
        answers
    }

    fn outcome(&self, id: &InstanceId, instance: &Instance, answer: Option<Answer>) -> Result<Outcome, Error> {
        match (answer, self.change.step(&instance.state)) {
            (Some(answer), _) if self.dry_run => answer.result.map(|_| Outcome::Permitted(Permitted::YES)),
            (Some(Answer { result, note }), _) => {
                let change = StateChange::from_ec2(id, instance, result?.as_ref())?;
                Ok(Outcome::Changed(StateChange { note, ..change }))
            }
            (None, Step::Nothing) => Ok(Outcome::Changed(StateChange::none(id, instance))),
            (None, Step::Refuse(wish)) => Err(incorrect_state(id, instance, wish)),
            (None, Step::RefuseForNow(wish)) => Err(incorrect_state(id, instance, wish).passing()),
            (None, Step::Send) => Err(Error::new(Code::AwsError, format!("{id} was not sent to EC2")).passing()),
        }
    }
}

impl Results {
    fn are_all_permitted(&self) -> bool {
        self.0.iter().all(|result| matches!(result.outcome, Ok(Outcome::Permitted(_))))
    }
}

fn noted(answers: all_or_none::Answers, note: Option<&'static str>) -> Answers {
    answers.into_iter().map(|(id, result)| (id, Answer { result, note })).collect()
}

/// The change, or what has become of it when the wait is over.
async fn follow(
    clients: &Clients,
    worker: &Worker,
    wait: Option<&Wait>,
    told: SystemTime,
    change: StateChange,
) -> Result<Mutation<StateChanges>, Error> {
    let progress = match wait {
        Some(wait) if !wait.is_reached(&change.current_state) => wait.watch(clients, worker, Some(told)).await?,
        _ => return Ok(Mutation::Done(StateChanges::One(change))),
    };
    Ok(match progress {
        Progress::Reached(instance) => Mutation::Done(StateChanges::One(change.followed_by(&instance))),
        // No later look would show more: the caller has to know why.
        Progress::Unfinished(_, Some(error)) if !error.retryable => return Err(unwatched(worker, error)),
        Progress::Unfinished(Some(instance), _) => {
            Mutation::Unfinished(StateChanges::One(change.followed_by(&instance)))
        }
        Progress::Unfinished(None, _) => Mutation::Unfinished(StateChanges::One(change)),
    })
}

fn unwatched(worker: &Worker, error: Error) -> Error {
    let id = &worker.instance_id;
    let detail = format!("EC2 accepted the call for {id}, but cannot be asked about it now: {}", error.detail);
    Error { detail, ..error }
}

#[cfg(test)]
mod tests;
