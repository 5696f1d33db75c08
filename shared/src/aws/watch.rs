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
use crate::model::wait::{Course, Until};

/// The pause between two reads. The SDK's own waiters read again only after 15 s, too late for an answer within 25 s.
const EVERY: Duration = Duration::from_secs(2);

/// The longest time from the request's arrival to the answer; it is less if the function has less time. Within it a started
/// instance gets `running`; getting `stopped` or `healthy` often takes minutes.
const LONGEST: Duration = Duration::from_secs(15);

/// A caller's wish to wait. The time runs from the creation of this value.
#[derive(Debug, Clone, Copy)]
pub struct Wait {
    until: Until,
    every: Duration,
    end: Instant,
}

/// The result of waiting for an instance.
#[derive(Debug, Clone)]
pub enum Progress {
    /// The instance has the wished state.
    Reached(Instance),
    /// The time is up, or EC2 cannot be asked any more. It has the instance as it was last seen, if EC2 showed it at all,
    /// and the error that ended the wait, if one did.
    Unfinished(Option<Instance>, Option<Error>),
}

impl Wait {
    /// A wait that starts now.
    #[must_use]
    pub fn new(until: Until) -> Self {
        Self { until, every: EVERY, end: deadline::at_most(LONGEST) }
    }

    /// A wait that reads more often and gives up sooner, for tests.
    #[cfg(test)]
    pub(crate) fn short(until: Until, longest: Duration) -> Self {
        Self { until, every: Duration::from_millis(2), end: Instant::now() + longest }
    }

    /// Whether the state alone says that there is nothing to wait for.
    #[must_use]
    pub fn is_reached(&self, state: &State) -> bool {
        self.until != Until::Healthy && self.until.course(state) == Course::Reached
    }

    /// The same wait with some time left, even if the work before it took all of its time.
    #[must_use]
    pub fn with_time_left(self) -> Self {
        Self { end: self.end.max(deadline::at_most(SHOWN_WITHIN)), ..self }
    }

    /// Whether an instance in this state does not have the wished state and can get it by itself.
    #[must_use]
    pub fn can_come(&self, state: &State) -> bool {
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
    pub async fn watch(
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
            let healthy = read_status(clients, worker, instance).await?.healthy;
            return Ok(if healthy { Course::Reached } else { Course::Onward });
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
mod tests {
    use std::sync::Mutex;

    use aws_sdk_ec2::Client;
    use aws_smithy_mocks::{Rule, mock};

    use super::*;
    use crate::testing::{self, described, ec2_error, worker, xml};

    const LONG_ENOUGH: Duration = Duration::from_secs(5);

    /// An EC2 that shows these states one after the other, and the last one from then on. A word after `!` is an error code.
    fn states(states: &'static [&'static str]) -> Rule {
        let next = Mutex::new(0);
        mock!(Client::describe_instances).then_http_response(move || {
            let mut next = next.lock().unwrap();
            let state = states[*next];
            *next = (*next + 1).min(states.len() - 1);
            match state.strip_prefix('!') {
                Some(code) => ec2_error(if code == "RequestLimitExceeded" { 503 } else { 400 }, code, "EC2's words."),
                None => described(state, true),
            }
        })
    }

    async fn watch(until: Until, longest: Duration, rules: &[&Rule]) -> Result<Progress, Error> {
        Wait::short(until, longest).watch(&testing::clients(rules), &worker(), None).await
    }

    fn state_of(progress: Result<Progress, Error>) -> (bool, Option<String>) {
        match progress.unwrap() {
            Progress::Reached(instance) => (true, Some(instance.state.to_string())),
            Progress::Unfinished(instance, _) => (false, instance.map(|instance| instance.state.to_string())),
        }
    }

    #[tokio::test]
    async fn the_wished_state_ends_the_wait() {
        for (until, seen, reached) in [
            (Until::Running, &["pending", "pending", "running"][..], "running"),
            (Until::Stopped, &["running", "stopping", "stopped"], "stopped"),
            (Until::Terminated, &["stopped", "shutting-down", "terminated"], "terminated"),
        ] {
            let rule = states(seen);
            let progress = watch(until, LONG_ENOUGH, &[&rule]).await;
            assert_eq!((state_of(progress), rule.num_calls()), ((true, Some(reached.to_owned())), 3));
        }
    }

    #[tokio::test]
    async fn an_instance_that_ec2_does_not_show_is_looked_for_again_and_never_taken_for_gone() {
        for until in [Until::Running, Until::Terminated] {
            let rule = states(&["!InvalidInstanceID.NotFound"]);
            let progress = watch(until, Duration::from_millis(60), &[&rule]).await;
            assert!(rule.num_calls() > 1, "{}", rule.num_calls());
            assert_eq!(state_of(progress), (false, None));
        }
        let rule = states(&["!InvalidInstanceID.NotFound", "running"]);
        assert_eq!(state_of(watch(Until::Running, LONG_ENOUGH, &[&rule]).await), (true, Some("running".to_owned())));
    }

    #[tokio::test]
    async fn the_bound_ends_it_with_the_state_so_far() {
        let rule = states(&["pending"]);
        let progress = watch(Until::Running, Duration::from_millis(60), &[&rule]).await;
        assert_eq!(state_of(progress), (false, Some("pending".to_owned())));
        let progress = watch(Until::Running, Duration::ZERO, &[&rule]).await;
        assert_eq!(state_of(progress), (false, None));
    }

    #[tokio::test]
    async fn a_read_that_can_be_older_than_the_call_is_no_revert_however_often_it_comes() {
        // The instance of these reads was launched at 03:04:05.
        let launch = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_323_045);
        let seen = &["stopped", "stopping", "stopped", "pending", "stopped", "running"];
        for (told, reaches) in [(launch + Duration::from_secs(2), true), (launch + Duration::from_secs(1), false)] {
            let clients = testing::clients(&[&states(seen)]);
            let wait = Wait::short(Until::Running, LONG_ENOUGH);
            let progress = wait.watch(&clients, &worker(), Some(told)).await;
            assert_eq!(progress.is_ok(), reaches, "{told:?}");
        }
        let gone = testing::clients(&[&states(&["terminated"])]);
        let wait = Wait::short(Until::Running, LONG_ENOUGH);
        assert!(wait.watch(&gone, &worker(), Some(SystemTime::now())).await.is_err());
    }

    #[tokio::test]
    async fn a_start_that_ec2_takes_back_is_an_error_with_ec2s_reason() {
        for until in [Until::Running, Until::Healthy] {
            let error = watch(until, LONG_ENOUGH, &[&states(&["pending", "stopped"])]).await.unwrap_err();
            assert_eq!((error.code, error.retryable), (Code::IncorrectState, false));
            assert!(
                error.detail.contains("is stopped now: Client.UserInitiatedShutdown: User initiated"),
                "{}",
                error.detail
            );
        }
    }

    #[tokio::test]
    async fn an_instance_that_is_terminated_instead_of_stopped_is_not_waited_for() {
        let error = watch(Until::Stopped, LONG_ENOUGH, &[&states(&["shutting-down", "terminated"])]).await.unwrap_err();
        assert_eq!(error.code, Code::IncorrectState);
    }

    #[tokio::test]
    async fn healthy_is_more_than_running() {
        let read = states(&["pending", "running"]);
        let checks = |word: &'static str| {
            let document = format!(
                "<DescribeInstanceStatusResponse><instanceStatusSet><item><instanceId>{}</instanceId><systemStatus><status>{word}</status></systemStatus>\
                 <instanceStatus><status>{word}</status></instanceStatus></item></instanceStatusSet></DescribeInstanceStatusResponse>",
                testing::ID
            );
            mock!(Client::describe_instance_status).then_http_response(move || xml(200, document.as_str()))
        };
        let good = checks("ok");
        assert_eq!(
            state_of(watch(Until::Healthy, LONG_ENOUGH, &[&read, &good]).await),
            (true, Some("running".to_owned()))
        );
        // The status of a pending instance is not asked for.
        assert_eq!(good.num_calls(), 1);
        let starting = watch(Until::Healthy, Duration::from_millis(60), &[&read, &checks("initializing")]).await;
        assert_eq!(state_of(starting), (false, Some("running".to_owned())));
    }

    #[tokio::test]
    async fn a_read_that_fails_ends_the_wait_with_what_was_seen_and_the_reason() {
        for (states_, code) in [
            (&["pending", "!RequestLimitExceeded", "running"], Code::Throttled),
            (&["pending", "!UnauthorizedOperation", "running"], Code::MissingPermission),
        ] {
            let rule = states(states_);
            let progress = watch(Until::Running, LONG_ENOUGH, &[&rule]).await.unwrap();
            let Progress::Unfinished(Some(seen), Some(because)) = progress else { panic!("{progress:?}") };
            assert_eq!((seen.state.as_str(), because.code, rule.num_calls()), ("pending", code, 2));
        }
        // The instance is known although its status checks cannot be read.
        let denied = mock!(Client::describe_instance_status)
            .then_http_response(|| ec2_error(403, "UnauthorizedOperation", "EC2's words."));
        let progress = watch(Until::Healthy, LONG_ENOUGH, &[&states(&["running"]), &denied]).await.unwrap();
        let Progress::Unfinished(Some(seen), Some(because)) = progress else { panic!("{progress:?}") };
        assert_eq!(seen.state, State::Running);
        assert_eq!(because.missing_permission(), Some("ec2:DescribeInstanceStatus"));
    }

    #[tokio::test]
    async fn a_wait_whose_time_is_used_up_gets_some_seconds_more_and_a_longer_one_keeps_its_end() {
        let used_up = Wait::short(Until::Running, Duration::ZERO).with_time_left();
        assert!(used_up.end > Instant::now() + SHOWN_WITHIN / 2);
        let long = Wait::short(Until::Running, 2 * SHOWN_WITHIN);
        assert_eq!(long.with_time_left().end, long.end);
    }

    #[test]
    fn only_an_instance_on_its_way_can_come() {
        let can_come = |until, state| Wait { until, every: EVERY, end: Instant::now() }.can_come(&state);
        assert!(can_come(Until::Running, State::Pending) && can_come(Until::Healthy, State::Running));
        assert!(can_come(Until::Stopped, State::Stopping) && can_come(Until::Terminated, State::Stopped));
        assert!(!can_come(Until::Running, State::Running) && !can_come(Until::Running, State::Stopped));
    }
}
