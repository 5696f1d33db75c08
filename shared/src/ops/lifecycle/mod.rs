//! The code that start, stop and terminate share: one instance or many, instances that already have the state, dry runs,
//! waiting.

use std::collections::BTreeMap;
use std::time::SystemTime;

use aws_sdk_ec2::types::InstanceStateChange;
use tokio::time::Instant;

use crate::aws::all_or_none::{self, Call};
use crate::aws::clients::Clients;
use crate::aws::instances::{find_all_managed, find_managed};
use crate::aws::watch::{Progress, Wait};
use crate::error::{Code, Error};
use crate::input::{Invalid, both};
use crate::model::instance::{Instance, incorrect_state};
use crate::model::instance_id::InstanceId;
use crate::model::instance_ids::InstanceIds;
use crate::model::mutation::{Mutation, Permitted};
use crate::model::path::{InstancePath, TargetPath};
use crate::model::region::Region;
use crate::model::state::State;
use crate::model::state_change::{InstanceResult, Outcome, Results, StateChange, StateChanges};
use crate::model::wait::{Until, WaitQuery};

/// A caller's order to start, stop or terminate instances.
#[derive(Debug, Clone)]
pub struct Order {
    target: Target,
    dry_run: bool,
}

/// The instances of an order. Many instances are not waited for, because each could take all the time of the request.
#[derive(Debug, Clone)]
enum Target {
    One(InstancePath, Option<Wait>),
    Many(Region, Vec<InstanceId>),
}

impl Order {
    /// Makes an order from the path, query and body of a request.
    ///
    /// # Errors
    /// [`Invalid`] if path and body both name instances or neither does, or if many are to be waited for.
    pub fn new<W: Into<Until>>(
        place: TargetPath,
        query: WaitQuery<W>,
        ids: Option<InstanceIds>,
    ) -> Result<Self, Invalid> {
        let TargetPath { region, instance_id } = place;
        let wait = query.wait.map(|until| Wait::new(until.into()));
        let target = match instance_id {
            Some(instance_id) => Target::one(InstancePath { region, instance_id }, ids, wait)?,
            None => Target::many(region, ids, wait)?,
        };
        Ok(Self { target, dry_run: query.dry_run })
    }

    /// The region of the instances.
    #[must_use]
    pub fn region(&self) -> &Region {
        match &self.target {
            Target::One(worker, _) => &worker.region,
            Target::Many(region, _) => region,
        }
    }

    /// An order for one instance.
    #[cfg(test)]
    pub(crate) fn one(worker: InstancePath, dry_run: bool, wait: Option<Wait>) -> Self {
        Self { target: Target::One(worker, wait), dry_run }
    }

    /// An order for many instances.
    #[cfg(test)]
    pub(crate) fn many(region: Region, instance_ids: Vec<InstanceId>, dry_run: bool) -> Self {
        Self { target: Target::Many(region, instance_ids), dry_run }
    }
}

impl Target {
    fn one(worker: InstancePath, ids: Option<InstanceIds>, wait: Option<Wait>) -> Result<Self, Invalid> {
        match ids {
            Some(_) => Err(Invalid::field("instance_ids", "must not be given: the path names the instance already")),
            None => Ok(Self::One(worker, wait)),
        }
    }

    fn many(region: Region, ids: Option<InstanceIds>, wait: Option<Wait>) -> Result<Self, Invalid> {
        let ids = ids.ok_or_else(|| Invalid::field("instance_ids", "is required"));
        let no_wait = match wait {
            Some(_) => {
                let detail = "must not be given for many instances: read the states of the instances instead";
                Err(Invalid::field("wait", detail))
            }
            None => Ok(()),
        };
        both(ids, no_wait).map(|(InstanceIds(ids), ())| Self::Many(region, ids))
    }
}

/// What is to be done with an instance in some state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Send the call to EC2.
    Send,
    /// Send nothing: the instance already has the state.
    Nothing,
    /// Refuse: it cannot be done. The word goes into the error, such as "started".
    Refuse(&'static str),
    /// Refuse for now: it cannot be done yet.
    RefuseForNow(&'static str),
}

/// The call of one of the three operations.
pub(crate) trait Change: Call + Sized {
    /// What is to be done with an instance in this state.
    fn step(&self, state: &State) -> Step;

    /// What to send instead of a call that EC2 refused with this error, and how the answer explains it.
    fn instead(&self, _: &Error) -> Option<(Self, &'static str)> {
        None
    }
}

/// Carries an order out.
///
/// # Errors
/// For one instance everything that [`find_managed`] refuses, the state does not allow or EC2 refuses. For many instances
/// only a failed read, because all other errors are in the results.
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

/// EC2's answer about an instance, and a note if something else was done than asked for.
struct Answer {
    result: Result<Option<InstanceStateChange>, Error>,
    note: Option<&'static str>,
}

type Answers = BTreeMap<InstanceId, Answer>;

impl<C: Change> Job<C> {
    async fn one(
        &self,
        clients: &Clients,
        worker: &InstancePath,
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

    /// Whether the call is sent for an instance. A dry run is about the permission, so EC2 is asked in any state.
    fn is_to_be_sent(&self, instance: &Instance) -> bool {
        self.dry_run || self.change.step(&instance.state) == Step::Send
    }

    /// Sends the call. For instances where EC2 does not support it, sends the call that replaces it.
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
            (None, Step::RefuseForNow(wish)) => Err(incorrect_state(id, instance, wish).retryable()),
            (None, Step::Send) => {
                let detail = format!("The call for {id} was not sent to EC2: send the request again");
                Err(Error::new(Code::AwsError, detail).retryable())
            }
        }
    }
}

fn noted(answers: all_or_none::Answers, note: Option<&'static str>) -> Answers {
    answers.into_iter().map(|(id, result)| (id, Answer { result, note })).collect()
}

/// The change, or its result at the end of the wait.
async fn follow(
    clients: &Clients,
    worker: &InstancePath,
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
        // A later read would fail too, so the caller has to know why.
        Progress::Unfinished(_, Some(error)) if !error.retryable => return Err(unwatched(worker, error)),
        Progress::Unfinished(Some(instance), _) => {
            Mutation::Unfinished(StateChanges::One(change.followed_by(&instance)))
        }
        Progress::Unfinished(None, _) => Mutation::Unfinished(StateChanges::One(change)),
    })
}

fn unwatched(worker: &InstancePath, error: Error) -> Error {
    let id = &worker.instance_id;
    let detail = format!("EC2 accepted the call for {id}, but the instance cannot be read now: {}", error.detail);
    Error { detail, ..error }
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
