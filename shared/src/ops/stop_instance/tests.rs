use aws_smithy_mocks::mock;

use super::*;
use crate::error::Code;
use crate::ops::lifecycle::testing::{document, state_tests};
use crate::testing::{self, described, ec2_error, state_change, worker};

state_tests! {
    operation: |clients, order| stop_instance(&clients, &order, Manner::Plain),
    call: Client::stop_instances,
    ec2: "StopInstances" => "stopping",
    states: [
        ("pending", Step::Send),
        ("running", Step::Send),
        ("stopping", Step::Nothing),
        ("stopped", Step::Nothing),
        ("shutting-down", Step::Refuse("stopped")),
        ("terminated", Step::Refuse("stopped")),
    ],
}

/// Stops in this manner while EC2 refuses to hibernate with this error. Returns the answer and the number of calls of
/// each kind.
async fn stop_so(
    manner: Manner,
    code: &'static str,
    message: &'static str,
) -> (Result<Mutation<StateChanges>, Error>, [usize; 3]) {
    let read = mock!(Client::describe_instances).then_http_response(|| described("running", true));
    let hibernate = mock!(Client::stop_instances)
        .match_requests(|r| r.hibernate() == Some(true))
        .then_http_response(move || ec2_error(400, code, message));
    let force = mock!(Client::stop_instances)
        .match_requests(|r| r.force() == Some(true))
        .then_http_response(|| state_change("StopInstances", "running", "stopping"));
    let plain = mock!(Client::stop_instances)
        .match_requests(|r| r.hibernate().is_none() && r.force().is_none())
        .then_http_response(|| state_change("StopInstances", "running", "stopping"));
    let clients = testing::clients(&[&read, &hibernate, &force, &plain]);
    let answer = stop_instance(&clients, &Order::one(worker(), false, None), manner).await;
    (answer, [&hibernate, &force, &plain].map(aws_smithy_mocks::Rule::num_calls))
}

#[tokio::test]
async fn a_worker_that_cannot_hibernate_is_stopped_by_a_second_call() {
    for (code, message) in [
        (
            "UnsupportedHibernationConfiguration",
            "The instance can't be hibernated because it was not configured at launch for hibernation: i-0123456789abcdef0",
        ),
        ("UnsupportedOperation", "Hibernation is not supported for this instance."),
    ] {
        let (answer, calls) = stop_so(Manner::Hibernate, code, message).await;
        let answer = document(answer);
        assert_eq!((&answer["changed"], calls), (&true.into(), [1, 0, 1]));
        assert!(answer["note"].as_str().unwrap().contains("cannot hibernate"), "{answer}");
    }
}

#[tokio::test]
async fn another_refusal_of_a_hibernation_is_no_reason_to_stop_without() {
    let message = "You can't stop the Spot Instance 'i-0123456789abcdef0' because it is associated with a one-time Spot Instance request.";
    let (answer, calls) = stop_so(Manner::Hibernate, "UnsupportedOperation", message).await;
    let error = answer.unwrap_err();
    assert_eq!((error.code, error.detail.as_str(), calls), (Code::IncorrectState, message, [1, 0, 0]));
}

#[tokio::test]
async fn a_hibernation_that_comes_too_early_is_refused_and_can_be_repeated() {
    let message = "The instance 'i-0123456789abcdef0' is not ready to hibernate yet, retry in a few minutes.";
    let (answer, calls) = stop_so(Manner::Hibernate, "UnsupportedOperation", message).await;
    let error = answer.unwrap_err();
    assert_eq!((error.code, error.retryable, calls), (Code::IncorrectState, true, [1, 0, 0]));
}

#[tokio::test]
async fn force_reaches_ec2() {
    let (answer, calls) = stop_so(Manner::Force, "", "").await;
    assert_eq!((document(answer)["note"].clone(), calls), (serde_json::Value::Null, [0, 1, 0]));
}

#[tokio::test]
async fn an_instance_that_hangs_in_stopping_can_be_forced() {
    let read = mock!(Client::describe_instances).then_http_response(|| described("stopping", true));
    let force = mock!(Client::stop_instances)
        .match_requests(|r| r.force() == Some(true))
        .then_http_response(|| state_change("StopInstances", "stopping", "stopping"));
    let clients = testing::clients(&[&read, &force]);
    let order = Order::one(worker(), false, None);
    let answer = document(stop_instance(&clients, &order, Manner::Force).await);
    assert_eq!((&answer["current_state"], force.num_calls()), (&"stopping".into(), 1));
    for manner in [Manner::Plain, Manner::Hibernate] {
        assert_eq!(document(stop_instance(&clients, &order, manner).await)["changed"], false);
    }
    assert_eq!(force.num_calls(), 1);
}

#[test]
fn force_and_hibernate_do_not_go_together() {
    let read = |body: serde_json::Value| {
        deserr::deserialize::<StopBody, _, Invalid>(body).map(|b| b.manner()).map_err(|invalid| invalid.to_string())
    };
    assert_eq!(read(serde_json::json!({})), Ok(Manner::Plain));
    assert_eq!(read(serde_json::json!({"force": true, "hibernate": false})), Ok(Manner::Force));
    assert_eq!(read(serde_json::json!({"hibernate": true})), Ok(Manner::Hibernate));
    let refused = read(serde_json::json!({"force": true, "hibernate": true})).unwrap_err();
    assert!(refused.starts_with("hibernate: must not be true together with force"), "{refused}");
    assert_eq!(read(serde_json::json!({"force": "yes"})).unwrap_err(), "force: must be true or false");
}
