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

#[tokio::test(start_paused = true)]
async fn an_instance_missing_from_a_read_is_read_again_and_not_gone() {
    for until in [Until::Running, Until::Terminated] {
        let rule = states(&["!InvalidInstanceID.NotFound"]);
        let progress = watch(until, Duration::from_millis(60), &[&rule]).await;
        assert!(rule.num_calls() > 1, "{}", rule.num_calls());
        assert_eq!(state_of(progress), (false, None));
    }
    let rule = states(&["!InvalidInstanceID.NotFound", "running"]);
    assert_eq!(state_of(watch(Until::Running, LONG_ENOUGH, &[&rule]).await), (true, Some("running".to_owned())));
}

#[tokio::test(start_paused = true)]
async fn the_bound_ends_it_with_the_state_so_far() {
    let rule = states(&["pending"]);
    let progress = watch(Until::Running, Duration::from_millis(60), &[&rule]).await;
    assert_eq!(state_of(progress), (false, Some("pending".to_owned())));
    let progress = watch(Until::Running, Duration::ZERO, &[&rule]).await;
    assert_eq!(state_of(progress), (false, None));
}

#[tokio::test]
async fn a_possibly_outdated_stopped_state_does_not_end_the_wait() {
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
    assert_eq!(state_of(watch(Until::Healthy, LONG_ENOUGH, &[&read, &good]).await), (true, Some("running".to_owned())));
    // The status of a pending instance is not asked for.
    assert_eq!(good.num_calls(), 1);
    let starting = watch(Until::Healthy, Duration::from_millis(60), &[&read, &checks("initializing")]).await;
    assert_eq!(state_of(starting), (false, Some("running".to_owned())));
}

#[tokio::test]
async fn a_failed_read_ends_the_wait_with_the_last_state_and_reason() {
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
async fn only_a_wait_with_little_time_left_gets_more_seconds() {
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
