mod telling;

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use aws_sdk_ec2::Client;
use aws_sdk_ec2::config::http::HttpResponse;
use aws_smithy_mocks::{Rule, RuleMode, mock, mock_client};
use aws_smithy_types::body::SdkBody;
use serde_json::json;

use super::*;
use crate::model::sweep::rules::{Rules, Wish};
use crate::model::sweep::{ACTED_KEY, HEARTBEAT_KEY, KEEP_KEY, MARK_KEY};
use crate::model::time::Moment;
use crate::testing::{self, ID, ec2_error, state_change, tags_changed, xml};

/// EventBridge's answer to one entry.
fn published() -> Rule {
    mock!(aws_sdk_eventbridge::Client::put_events).then_http_response(|| {
        let body = json!({"FailedEntryCount": 0, "Entries": [{"EventId": "11710aed-b79e-4468-a20b-bb3c0c3b4860"}]});
        HttpResponse::new(200.try_into().unwrap(), SdkBody::from(body.to_string()))
    })
}

/// A sweeper of one region with these rules, that AWS answers as these rules of the test say.
fn sweeper(rules: &[&Rule], sweep: Rules) -> Sweeper {
    let clients = testing::clients_with(rules, |config| config.sweep.rules = sweep);
    let bus = mock_client!(aws_sdk_eventbridge, RuleMode::MatchAny, rules);
    Sweeper { clients, bus: Bus::of(bus) }
}

fn ago(minutes: u64) -> Moment {
    Moment::from(SystemTime::now() - Duration::from_secs(minutes * 60))
}

/// A worker that was started three hours ago, with these tags.
fn described(tags: &[(&str, String)]) -> HttpResponse {
    let tags: String =
        tags.iter().map(|(key, value)| format!("<item><key>{key}</key><value>{value}</value></item>")).collect();
    xml(
        200,
        format!(
            r#"<DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><reservationSet><item><instancesSet><item>
<instanceId>{ID}</instanceId><instanceState><code>16</code><name>running</name></instanceState><launchTime>{}</launchTime>
<tagSet><item><key>ManagedBy</key><value>cml-cloud-manager</value></item>{tags}</tagSet>
</item></instancesSet></item></reservationSet></DescribeInstancesResponse>"#,
            ago(180)
        ),
    )
}

/// A fleet of one worker: a sweep's first read shows these tags, and the read before an action those.
fn shown(first: Vec<(&'static str, String)>, last: Vec<(&'static str, String)>) -> [Rule; 2] {
    let first = mock!(Client::describe_instances)
        .match_requests(|r| {
            let ours =
                r.filters().iter().any(|f| f.name() == Some("tag:ManagedBy") && f.values() == ["cml-cloud-manager"]);
            r.instance_ids().is_empty() && ours
        })
        .then_http_response(move || described(&first));
    let last = mock!(Client::describe_instances)
        .match_requests(|r| r.instance_ids() == [ID])
        .then_http_response(move || described(&last));
    [first, last]
}

fn no_statuses() -> Rule {
    mock!(Client::describe_instance_status).then_http_response(|| {
        xml(200, "<DescribeInstanceStatusResponse><instanceStatusSet/></DescribeInstanceStatusResponse>")
    })
}

/// Terminates orphans.
fn orphans() -> Rules {
    Rules { on_orphan: Some(Wish::Terminate), ..Rules::default() }
}

fn seen() -> (&'static str, String) {
    ("cml:seen", "- ok".to_owned())
}

fn mark(minutes: u64) -> (&'static str, String) {
    (MARK_KEY, format!("terminate orphan {}", ago(minutes)))
}

/// Sweeps a fleet of one worker; gives the report of its region, and how often it was tagged, untagged and terminated.
async fn swept(
    first: Vec<(&'static str, String)>,
    last: Vec<(&'static str, String)>,
    rules: Rules,
) -> (RegionReport, [usize; 3]) {
    let [all, again] = shown(first, last);
    let (statuses, published) = (no_statuses(), published());
    let create = mock!(Client::create_tags).then_http_response(|| tags_changed("CreateTags"));
    let delete = mock!(Client::delete_tags)
        .match_requests(|r| r.tags().iter().all(|tag| tag.key() == Some(MARK_KEY)) && r.tags().len() == 1)
        .then_http_response(|| tags_changed("DeleteTags"));
    let end = mock!(Client::terminate_instances)
        .match_requests(|r| r.instance_ids() == [ID])
        .then_http_response(|| state_change("TerminateInstances", "running", "shutting-down"));
    let sweeper = sweeper(&[&all, &again, &statuses, &create, &delete, &end, &published], rules);
    let mut report = sweeper.sweep_workers().await;
    (report.regions.remove(0), [create.num_calls(), delete.num_calls(), end.num_calls()])
}

#[tokio::test]
async fn an_orphan_is_marked_first_and_terminated_by_a_later_sweep() {
    let (report, calls) = swept(vec![seen()], vec![], orphans()).await;
    assert_eq!((report.verdicts["mark"], report.acted, report.events, calls), (1, 0, 1, [1, 0, 0]));
    let (report, calls) = swept(vec![seen(), mark(3)], vec![], orphans()).await;
    assert_eq!((report.verdicts["leave"], report.acted, calls), (1, 0, [0, 0, 0]));
    let (report, calls) = swept(vec![seen(), mark(5)], vec![mark(5)], orphans()).await;
    assert_eq!((report.verdicts["terminate"], report.acted, report.events, calls), (1, 1, 1, [1, 0, 1]));
}

#[tokio::test]
async fn the_last_read_before_an_action_decides() {
    let heartbeat = |minutes| (HEARTBEAT_KEY, ago(minutes).to_string());
    for last in [
        vec![mark(5), heartbeat(1)],
        vec![mark(5), (KEEP_KEY, String::new())],
        vec![mark(1)],
        vec![],
        vec![(MARK_KEY, format!("stop orphan {}", ago(5)))],
    ] {
        let (report, calls) = swept(vec![seen(), mark(5)], last.clone(), orphans()).await;
        assert_eq!((report.acted, calls, report.failures.len()), (0, [0, 0, 0], 0), "{last:?}");
    }
}

/// CloudWatch's points of the last two hours, each with this average.
fn points(average: f64) -> aws_sdk_cloudwatch::operation::get_metric_statistics::GetMetricStatisticsOutput {
    let newest = ago(10).seconds() / 300 * 300;
    let point = |number: u64| {
        let at = aws_sdk_cloudwatch::primitives::DateTime::from_secs(i64::try_from(newest - number * 300).unwrap());
        aws_sdk_cloudwatch::types::Datapoint::builder().timestamp(at).average(average).build()
    };
    aws_sdk_cloudwatch::operation::get_metric_statistics::GetMetricStatisticsOutput::builder()
        .set_datapoints(Some((0..24).map(point).collect()))
        .build()
}

#[tokio::test]
async fn the_cpu_is_read_again_before_a_worker_is_stopped() {
    for (last, stops) in [(1.0, 1), (90.0, 0)] {
        let mark = (MARK_KEY, format!("stop idle {}", ago(5)));
        let [all, again] = shown(vec![seen(), mark.clone()], vec![mark]);
        let (statuses, published) = (no_statuses(), published());
        let reads = std::sync::Mutex::new(vec![last, 1.0]);
        let cpu = mock!(aws_sdk_cloudwatch::Client::get_metric_statistics)
            .then_output(move || points(reads.lock().unwrap().pop().unwrap()));
        let create = mock!(Client::create_tags).then_http_response(|| tags_changed("CreateTags"));
        let stop = mock!(Client::stop_instances)
            .match_requests(|r| r.instance_ids() == [ID])
            .then_http_response(|| state_change("StopInstances", "running", "stopping"));
        let rules = Rules { on_idle: Some(Wish::Stop), ..Rules::default() };
        let report = sweeper(&[&all, &again, &statuses, &published, &cpu, &create, &stop], rules).sweep_workers().await;
        assert_eq!((report.regions[0].acted, stop.num_calls(), cpu.num_calls()), (stops, stops, 2), "{report:?}");
    }
}

#[tokio::test]
async fn a_mark_goes_with_its_reason() {
    let heartbeat = (HEARTBEAT_KEY, ago(1).to_string());
    let (report, calls) = swept(vec![seen(), mark(5), heartbeat], vec![], orphans()).await;
    assert_eq!((report.verdicts["unmark"], calls), (1, [0, 1, 0]));
    let (report, calls) = swept(vec![seen(), mark(5)], vec![], Rules::default()).await;
    assert_eq!((report.verdicts["unmark"], calls), (1, [0, 1, 0]));
}

#[tokio::test]
async fn the_limits_hold_actions_back() {
    for rules in [Rules { most_actions_per_sweep: 0, ..orphans() }, Rules { most_actions_per_hour: 0, ..orphans() }] {
        let (report, calls) = swept(vec![seen(), mark(5)], vec![mark(5)], rules).await;
        assert_eq!((report.acted, report.held_back, calls), (0, 1, [0, 0, 0]));
    }
    // What was done in this hour counts, whatever came of it.
    let acted = (ACTED_KEY, format!("terminate orphan {}", ago(30)));
    let (report, calls) =
        swept(vec![seen(), mark(5), acted], vec![mark(5)], Rules { most_actions_per_hour: 1, ..orphans() }).await;
    assert_eq!((report.held_back, calls), (1, [0, 0, 0]));
}

#[tokio::test]
async fn the_action_is_written_down_before_it_is_sent() {
    let [all, again] = shown(vec![seen(), mark(5)], vec![mark(5)]);
    let (statuses, published) = (no_statuses(), published());
    let create = mock!(Client::create_tags)
        .match_requests(|r| r.tags().iter().any(|t| t.key() == Some(ACTED_KEY)))
        .then_http_response(|| ec2_error(503, "Unavailable", "no"));
    let end = mock!(Client::terminate_instances)
        .then_http_response(|| state_change("TerminateInstances", "running", "shutting-down"));
    let sweeper = sweeper(&[&all, &again, &statuses, &create, &end, &published], orphans());
    let report = sweeper.sweep_workers().await;
    assert_eq!((create.num_calls(), end.num_calls(), report.regions[0].failures.len()), (1, 0, 1));
}

#[tokio::test]
async fn statuses_that_cannot_be_read_prove_nothing() {
    let [all, _] = shown(vec![seen()], vec![]);
    let denied = mock!(Client::describe_instance_status)
        .then_http_response(|| ec2_error(403, "UnauthorizedOperation", "You are not authorized."));
    let rules = Rules { on_impaired: Some(Wish::Stop), ..Rules::default() };
    let report = sweeper(&[&all, &denied], rules).sweep_workers().await;
    let region = &report.regions[0];
    assert_eq!(region.verdicts, BTreeMap::from([("leave".to_owned(), 1)]));
    assert_eq!(region.failures[0].missing_permission.as_deref(), Some("ec2:DescribeInstanceStatus"));
}

#[tokio::test]
async fn a_sweep_that_can_read_no_region_fails() {
    let dead = mock!(Client::describe_instances).then_http_response(|| ec2_error(500, "InternalError", "no"));
    assert!(sweeper(&[&dead], Rules::default()).sweep_workers().await.failure.is_some());
}

#[tokio::test]
async fn an_event_that_is_not_understood_sweeps_nothing() {
    let sweeper = sweeper(&[], Rules::default());
    for event in [json!({"permissions": "true"}), json!({"permission": true}), json!([]), json!({"detail-type": "x"})] {
        assert_eq!(handle(&sweeper, &event).await.unwrap_err().code, Code::InvalidRequest, "{event}");
    }
}

#[tokio::test]
async fn a_refused_action_counts_for_no_hour_and_comes_last_the_next_time() {
    let [all, again] = shown(vec![seen(), mark(5)], vec![mark(5)]);
    let (statuses, published) = (no_statuses(), published());
    let marked = mock!(Client::create_tags)
        .match_requests(|r| r.tags().iter().any(|t| t.key() == Some(MARK_KEY)))
        .then_http_response(|| tags_changed("CreateTags"));
    let acted = mock!(Client::create_tags)
        .match_requests(|r| r.tags().iter().any(|t| t.key() == Some(ACTED_KEY)))
        .then_http_response(|| tags_changed("CreateTags"));
    let forgotten = mock!(Client::delete_tags)
        .match_requests(|r| r.tags().iter().all(|t| t.key() == Some(ACTED_KEY)))
        .then_http_response(|| tags_changed("DeleteTags"));
    let refused = mock!(Client::terminate_instances)
        .then_http_response(|| ec2_error(400, "OperationNotPermitted", "The instance may not be terminated."));
    let rules = [&all, &again, &statuses, &published, &marked, &acted, &forgotten, &refused];
    let report = sweeper(&rules, orphans()).sweep_workers().await;
    assert_eq!((report.regions[0].acted, report.regions[0].failures.len()), (0, 1));
    assert_eq!((acted.num_calls(), marked.num_calls(), forgotten.num_calls()), (1, 1, 1));
}

#[tokio::test]
async fn the_self_test_asks_for_what_the_rules_send_and_changes_nothing() {
    let read = mock!(Client::describe_instances).then_http_response(|| testing::described("running", true));
    let metrics = mock!(aws_sdk_cloudwatch::Client::get_metric_statistics).then_output(|| {
        aws_sdk_cloudwatch::operation::get_metric_statistics::GetMetricStatisticsOutput::builder().build()
    });
    let granted = || ec2_error(412, "DryRunOperation", "Request would have succeeded, but DryRun flag is set.");
    let create = mock!(Client::create_tags).match_requests(|r| r.dry_run() == Some(true)).then_http_response(granted);
    let delete = mock!(Client::delete_tags).match_requests(|r| r.dry_run() == Some(true)).then_http_response(granted);
    let end = mock!(Client::terminate_instances).match_requests(|r| r.dry_run() == Some(true)).then_http_response(|| {
        let message = "You are not authorized to perform this operation. User: arn:aws:sts::123456789012:assumed-role/a/b is not \
                       authorized to perform: ec2:TerminateInstances on resource: * because no identity-based policy allows the \
                       ec2:TerminateInstances action";
        ec2_error(403, "UnauthorizedOperation", message)
    });
    let statuses = no_statuses();
    let sweeper = sweeper(&[&read, &statuses, &metrics, &create, &delete, &end], orphans());
    let report = handle(&sweeper, &json!({"permissions": true})).await.unwrap();
    let permissions = serde_json::to_value(report.permissions.unwrap()).unwrap();
    let verdicts: BTreeMap<&str, &str> = permissions
        .as_array()
        .unwrap()
        .iter()
        .map(|permission| (permission["action"].as_str().unwrap(), permission["verdict"].as_str().unwrap()))
        .collect();
    let expected = [
        ("cloudwatch:GetMetricStatistics", "allowed"),
        ("ec2:CreateTags", "allowed"),
        ("ec2:DeleteTags", "allowed"),
        ("ec2:DescribeInstanceStatus", "allowed"),
        ("ec2:DescribeInstances", "allowed"),
        ("ec2:TerminateInstances", "denied"),
        ("events:PutEvents", "unknown"),
    ];
    assert_eq!(verdicts, BTreeMap::from(expected));
    let denied = permissions.as_array().unwrap().iter().find(|permission| permission["verdict"] == "denied").unwrap();
    assert_eq!(denied["broken_operations"], json!(["sweep-workers"]));
}
