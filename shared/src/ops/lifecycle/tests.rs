use aws_sdk_ec2::Client;
use aws_sdk_ec2::config::http::HttpResponse;
use aws_smithy_mocks::mock;
use serde_json::json;

use super::*;
use crate::model::instance_ids::InstancesBody;
use crate::model::wait::UntilStopped;
use crate::ops::stop_instance::Manner;
use crate::ops::{start_instance, stop_instance};
use crate::testing::{self, ec2_error, region, xml};

fn id(n: usize) -> InstanceId {
    InstanceId::try_from(format!("i-{n:017x}")).unwrap()
}

/// DescribeInstances' answer: a page of instances by number, each with its state and owner, and the token of the next page.
fn described(instances: &[(usize, &str, &str)], next_token: &str) -> HttpResponse {
    let items: String = instances
        .iter()
        .map(|(n, state, owner)| {
            format!(
                "<item><instancesSet><item><instanceId>{}</instanceId><instanceState><name>{state}</name></instanceState>\
                 <tagSet><item><key>ManagedBy</key><value>{owner}</value></item></tagSet></item></instancesSet></item>",
                id(*n)
            )
        })
        .collect();
    let next = format!("<nextToken>{next_token}</nextToken>");
    xml(
        200,
        format!(
            "<DescribeInstancesResponse><reservationSet>{items}</reservationSet>{next}</DescribeInstancesResponse>"
        ),
    )
}

/// EC2's answer that these instances change their state.
fn changed(action: &str, numbers: &[usize], to: &str) -> HttpResponse {
    let items: String = numbers
        .iter()
        .map(|n| {
            format!("<item><instanceId>{}</instanceId><currentState><name>{to}</name></currentState></item>", id(*n))
        })
        .collect();
    xml(200, format!("<{action}Response><instancesSet>{items}</instancesSet></{action}Response>"))
}

const OURS: &str = "cml-cloud-manager";

/// The id of each result, with its state or its error's code.
fn results(answer: Result<Mutation<StateChanges>, Error>) -> Vec<(InstanceId, Result<String, Code>)> {
    let Mutation::Done(StateChanges::Many(Results(results))) = answer.unwrap() else { panic!("no results") };
    let word = |outcome| match outcome {
        Outcome::Changed(change) => format!("{}{}", change.current_state, if change.changed { "" } else { " already" }),
        Outcome::Permitted(_) => "permitted".to_owned(),
    };
    results.into_iter().map(|r| (r.instance_id, r.outcome.map(word).map_err(|error| error.code))).collect()
}

#[tokio::test]
async fn each_of_many_has_its_own_answer_in_the_order_asked_for() {
    let first = mock!(Client::describe_instances)
        .match_requests(|r| {
            r.instance_ids().is_empty() && r.filters()[0].values().len() == 6 && r.next_token().is_none()
        })
        .then_http_response(|| described(&[(5, "stopped", OURS), (4, "running", OURS), (3, "stopped", "me")], "more"));
    let second = mock!(Client::describe_instances)
        .match_requests(|r| r.next_token() == Some("more"))
        .then_http_response(|| described(&[(2, "stopping", OURS), (1, "terminated", OURS)], ""));
    let call = mock!(Client::start_instances)
        .match_requests(|r| r.instance_ids() == [id(5).as_str()])
        .then_http_response(|| changed("StartInstances", &[5], "pending"));
    let order = Order::many(region(), [0, 1, 2, 3, 4, 5].map(id).to_vec(), false);
    let answer = start_instance(&testing::clients(&[&first, &second, &call]), &order).await;
    assert_eq!(
        results(answer),
        vec![
            (id(0), Err(Code::InstanceNotFound)),
            (id(1), Err(Code::IncorrectState)),
            (id(2), Err(Code::IncorrectState)),
            (id(3), Err(Code::NotManaged)),
            (id(4), Ok("running already".to_owned())),
            (id(5), Ok("pending".to_owned())),
        ]
    );
    assert_eq!(call.num_calls(), 1);
}

#[tokio::test]
async fn a_dry_run_of_many_has_one_answer_unless_one_is_refused() {
    for (owner, all) in [(OURS, true), ("me", false)] {
        let read = mock!(Client::describe_instances)
            .then_http_response(move || described(&[(1, "running", OURS), (2, "terminated", owner)], ""));
        let dry = mock!(Client::start_instances)
            .match_requests(|r| r.dry_run() == Some(true))
            .then_http_response(|| ec2_error(412, "DryRunOperation", "Request would have succeeded."));
        let order = Order::many(region(), vec![id(1), id(2)], true);
        let answer = start_instance(&testing::clients(&[&read, &dry]), &order).await;
        assert_eq!(dry.num_calls(), 1);
        if all {
            assert_eq!(serde_json::to_value(answer.unwrap()).unwrap(), json!({"dry_run": true, "permitted": true}));
        } else {
            let expected = vec![(id(1), Ok("permitted".to_owned())), (id(2), Err(Code::NotManaged))];
            assert_eq!(results(answer), expected);
        }
    }
}

#[tokio::test]
async fn a_read_that_fails_fails_the_request_and_nothing_is_sent() {
    let read = mock!(Client::describe_instances)
        .then_http_response(|| ec2_error(403, "UnauthorizedOperation", "You are not authorized."));
    let order = Order::many(region(), vec![id(1)], false);
    let error = start_instance(&testing::clients(&[&read]), &order).await.unwrap_err();
    assert_eq!(error.missing_permission(), Some("ec2:DescribeInstances"));
}

#[tokio::test]
async fn workers_that_cannot_hibernate_are_stopped_with_a_note() {
    let read = mock!(Client::describe_instances)
        .then_http_response(|| described(&[(1, "running", OURS), (2, "running", OURS), (3, "running", OURS)], ""));
    let both = mock!(Client::stop_instances)
        .match_requests(|r| r.hibernate() == Some(true) && r.instance_ids().len() == 3)
        .then_http_response(|| {
            let why = "The instance can't be hibernated because it was not configured at launch for hibernation";
            ec2_error(400, "UnsupportedHibernationConfiguration", &format!("{why}: {}", id(2)))
        });
    let rest = mock!(Client::stop_instances)
        .match_requests(|r| r.hibernate() == Some(true) && r.instance_ids() == [id(1).as_str(), id(3).as_str()])
        .then_http_response(|| changed("StopInstances", &[1, 3], "stopping"));
    let plain = mock!(Client::stop_instances)
        .match_requests(|r| r.hibernate().is_none() && r.instance_ids() == [id(2).as_str()])
        .then_http_response(|| changed("StopInstances", &[2], "stopping"));
    let order = Order::many(region(), vec![id(1), id(2), id(3)], false);
    let clients = testing::clients(&[&read, &both, &rest, &plain]);
    let answer = stop_instance(&clients, &order, Manner::Hibernate).await.unwrap();
    let document = serde_json::to_value(answer).unwrap();
    let notes: Vec<bool> = document["results"].as_array().unwrap().iter().map(|r| r["note"].is_string()).collect();
    assert_eq!(notes, [false, true, false], "{document}");
    assert!(document["results"].as_array().unwrap().iter().all(|r| r["current_state"] == "stopping"));
}

#[tokio::test]
async fn a_change_made_by_a_refused_call_is_reported() {
    // EC2 terminates the unprotected instances of other zones and refuses the call. When it is sent again, they are
    // "shutting-down" before and after.
    let read = mock!(Client::describe_instances)
        .then_http_response(|| described(&[(1, "running", OURS), (2, "running", OURS)], ""));
    let refused = mock!(Client::terminate_instances)
        .match_requests(|r| r.instance_ids().len() == 2)
        .then_http_response(|| ec2_error(400, "OperationNotPermitted", &format!("'{}' may not be terminated.", id(1))));
    let again = mock!(Client::terminate_instances)
        .match_requests(|r| r.instance_ids() == [id(2).as_str()])
        .then_http_response(|| changed("TerminateInstances", &[2], "shutting-down"));
    let order = Order::many(region(), vec![id(1), id(2)], false);
    let answer = crate::ops::terminate_instance(&testing::clients(&[&read, &refused, &again]), &order).await;
    let expected = vec![(id(1), Err(Code::OperationNotPermitted)), (id(2), Ok("shutting-down".to_owned()))];
    assert_eq!(results(answer), expected);
}

fn read_ids(ids: serde_json::Value) -> Result<InstanceIds, Vec<String>> {
    let body = deserr::deserialize::<InstancesBody, _, Invalid>(json!({"instance_ids": ids}));
    let fields = |invalid: Invalid| invalid.errors().iter().map(|error| error.field.clone()).collect();
    body.map(|body| body.instance_ids.unwrap()).map_err(fields)
}

#[test]
fn every_malformed_and_every_repeated_id_is_named() {
    let good = "i-0123456789abcdef0";
    let refused = read_ids(json!([good, "i-1", "i-12345678", good, 7, "i-12345678"])).unwrap_err();
    assert_eq!(refused, ["instance_ids[1]", "instance_ids[3]", "instance_ids[4]", "instance_ids[5]"]);
    assert_eq!(read_ids(json!(good)).unwrap_err(), ["instance_ids"]);
}

#[test]
fn there_are_1_to_100_ids() {
    let ids = |count: usize| json!((0..count).map(id).collect::<Vec<_>>());
    assert_eq!(read_ids(ids(0)).unwrap_err(), ["instance_ids"]);
    assert_eq!(read_ids(ids(100)).unwrap().0.len(), 100);
    assert_eq!(read_ids(ids(101)).unwrap_err(), ["instance_ids"]);
}

#[test]
fn either_the_path_or_the_body_names_instances() {
    let order = |instance_id: Option<usize>, ids: Option<usize>, wait: bool| {
        let place = TargetPath { region: region(), instance_id: instance_id.map(id) };
        let query = WaitQuery { dry_run: false, wait: wait.then_some(UntilStopped::Stopped) };
        let order = Order::new(place, query, ids.map(|n| InstanceIds(vec![id(n)])));
        order.map_err(|invalid| invalid.errors().iter().map(|error| error.field.clone()).collect::<Vec<_>>())
    };
    assert!(order(Some(1), None, true).is_ok());
    assert!(order(None, Some(1), false).is_ok());
    assert_eq!(order(Some(1), Some(1), false).unwrap_err(), ["instance_ids"]);
    assert_eq!(order(None, None, false).unwrap_err(), ["instance_ids"]);
    assert_eq!(order(None, Some(1), true).unwrap_err(), ["wait"]);
    assert_eq!(order(None, None, true).unwrap_err(), ["instance_ids", "wait"]);
}

/// Starts an instance and waits for it, while EC2 refuses the later reads with this code.
async fn started_and_then_refused(status: u16, code: &'static str) -> Result<Mutation<StateChanges>, Error> {
    let reads = std::sync::atomic::AtomicUsize::new(0);
    let read = mock!(Client::describe_instances).then_http_response(move || {
        match reads.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
            0 => testing::described("stopped", true),
            _ => ec2_error(status, code, "EC2's words."),
        }
    });
    let call = mock!(Client::start_instances)
        .then_http_response(|| testing::state_change("StartInstances", "stopped", "pending"));
    let wait = Wait::short(Until::Running, std::time::Duration::from_secs(5));
    let order = Order::one(testing::worker(), false, Some(wait));
    start_instance(&testing::clients(&[&read, &call]), &order).await
}

#[tokio::test]
async fn a_denied_read_after_a_change_fails_unlike_a_throttled_read() {
    let error = started_and_then_refused(403, "UnauthorizedOperation").await.unwrap_err();
    assert_eq!((error.code, error.missing_permission()), (Code::MissingPermission, Some("ec2:DescribeInstances")));
    let said = format!("EC2 accepted the call for {}, but the instance cannot be read now: EC2's words.", testing::ID);
    assert_eq!(error.detail, said);
    let throttled = started_and_then_refused(503, "RequestLimitExceeded").await;
    let Ok(Mutation::Unfinished(StateChanges::One(change))) = throttled else { panic!("{throttled:?}") };
    assert_eq!((change.current_state.as_str(), change.changed), ("pending", true));
}
