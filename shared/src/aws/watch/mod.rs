//! Reads an instance again and again until it has the state to which a call sent it.

use std::time::{Duration, SystemTime};

use tokio::time::{Instant, sleep, timeout_at};

use crate::aws::clients::Clients;
use crate::aws::deadline;
use crate::aws::instances::find;
use crate::aws::once_shown::SHOWN_WITHIN;
use crate::aws::statuses::read_status;
use crate::error::{Code, Error};
use crate::model::instance::Instance;
use crate::model::instance_id::InstanceId;
use crate::model::path::InstancePath;
use crate::model::state::State;
use crate::model::status::InstanceStatus;
use crate::model::wait::{Course, Until};

/// The pause between two reads. The SDK's own waiters read again only after 15 s, too late for an answer within 25 s.
const EVERY: Duration = Duration::from_secs(2);

/// The longest time from the request's arrival to the answer; it is less if the function has less time. Within it a started
/// instance gets `running`; getting `stopped` or `healthy` often takes minutes.
const LONGEST: Duration = Duration::from_secs(15);

/// A caller's wish to wait. The time runs from the creation of this value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wait {
    until: Until,
    every: Duration,
    end: Instant,
}

/// The result of waiting for an instance.
#[derive(Debug, Clone)]
pub(crate) enum Progress {
    /// The instance has the wished state.
    Reached(Instance),
    /// The time is up, or EC2 cannot be asked any more. It has the instance as it was last seen, if EC2 showed it at all,
    /// and the error that ended the wait, if one did.
    Unfinished(Option<Instance>, Option<Error>),
}

impl Wait {
    /// A wait that starts now.
    #[must_use]
    pub(crate) fn new(until: Until) -> Self {
        Self { until, every: EVERY, end: deadline::at_most(LONGEST) }
    }

    /// A wait that reads more often and gives up sooner, for tests.
    #[cfg(test)]
    pub(crate) fn short(until: Until, longest: Duration) -> Self {
        Self { until, every: Duration::from_millis(2), end: Instant::now() + longest }
    }

    /// Whether the state alone says that there is nothing to wait for.
    #[must_use]
    pub(crate) fn is_reached(&self, state: &State) -> bool {
        self.until != Until::Healthy && self.until.course(state) == Course::Reached
    }

    /// The same wait with some time left, even if the work before it took all of its time.
    #[must_use]
    pub(crate) fn with_time_left(self) -> Self {
        Self { end: self.end.max(deadline::at_most(SHOWN_WITHIN)), ..self }
    }

    /// Whether an instance in this state does not have the wished state and can get it by itself.
    #[must_use]
    pub(crate) fn can_come(&self, state: &State) -> bool {
        !self.is_reached(state) && self.until.course(state) != Course::Lost
    }

    /// Reads an instance that EC2 was just told to change until it has the wished state or the time is up. A failed read
    /// ends the wait too, because the SDK has tried it again already.
    ///
    /// `told` is the time when EC2 was told to change the instance; `None` if the call launched it.
    ///
    /// AWS: ec2:DescribeInstances; for [`Until::Healthy`] ec2:DescribeInstanceStatus.
    ///
    /// # Errors
    /// [`Code::IncorrectState`] if EC2 took the change back or something else undid it, with EC2's reason.
    pub(crate) async fn watch(
        &self,
        clients: &Clients,
        worker: &InstancePath,
        told: Option<SystemTime>,
    ) -> Result<Progress, Error> {
        let mut seen = None;
        match timeout_at(self.end, self.look(clients, worker, told, &mut seen)).await {
            Ok(Ok(instance)) => Ok(Progress::Reached(instance)),
            Ok(Err(error)) if error.code == Code::IncorrectState => Err(error),
            Ok(Err(error)) => Ok(Progress::Unfinished(seen, Some(error))),
            Err(_) => Ok(Progress::Unfinished(seen, None)),
        }
    }

    async fn look(
        &self,
        clients: &Clients,
        worker: &InstancePath,
        told: Option<SystemTime>,
        seen: &mut Option<Instance>,
    ) -> Result<Instance, Error> {
        loop {
            sleep(self.every).await;
            let instance = match find(clients, worker).await {
                // The instance was launched a second ago, or EC2's reads do not agree with each other.
                Err(error) if error.code == Code::InstanceNotFound => continue,
                found => seen.insert(found?),
            };
            match self.course(clients, worker, instance).await? {
                Course::Reached => return Ok(instance.clone()),
                Course::Lost if is_proof(told, instance) => return Err(undone(&worker.instance_id, instance)),
                Course::Lost | Course::Onward => {}
            }
        }
    }

    async fn course(&self, clients: &Clients, worker: &InstancePath, instance: &Instance) -> Result<Course, Error> {
        let course = self.until.course(&instance.state);
        if self.until == Until::Healthy && course == Course::Reached {
            let status = read_status(clients, worker).await?;
            let status = InstanceStatus::from_ec2(worker.instance_id.clone(), instance, status.as_ref());
            return Ok(if status.healthy { Course::Reached } else { Course::Onward });
        }
        Ok(course)
    }
}

/// Whether a read that shows a state from which the wished one cannot be reached is surely newer than the call. EC2's reads
/// lag behind its writes, each by its own time: however many reads show the old state, all of them may be older than the
/// call. Only something that was not so before is a proof: the instance is gone, or was started since.
fn is_proof(told: Option<SystemTime>, seen: &Instance) -> bool {
    seen.is_gone() || told.is_none_or(|told| seen.is_launched_since(told))
}

fn undone(id: &InstanceId, instance: &Instance) -> Error {
    let reason = instance.state_reason.as_deref().unwrap_or("EC2 gives no reason");
    Error::new(Code::IncorrectState, format!("EC2 accepted the call, but {id} is {} now: {reason}", instance.state))
}

#[cfg(test)]
mod tests;
