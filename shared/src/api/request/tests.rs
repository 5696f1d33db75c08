use lambda_http::request::from_str;

use super::*;
use crate::input::Nothing;
use crate::model::launch::CreateInstance;
use crate::model::mutation::DryRun;
use crate::model::path::InstancePath;
use crate::model::path::RegionPath;
use crate::model::path::TargetPath;
use crate::ops::delete_instance_tags::TagKeys;
use crate::ops::get_all_instances::ListQuery;
use crate::ops::stop_instance::StopBody;
use crate::testing::ID;
use crate::testing::event;

fn fields<T>(refused: Result<T, Error>) -> Vec<String> {
    let Err(error) = refused else { panic!("was accepted") };
    assert_eq!(error.code, Code::InvalidRequest);
    error.fields.errors().iter().map(|error| error.field.clone()).collect()
}

#[test]
fn a_good_request_is_read() {
    let event = event(
        serde_json::json!({"region": "us-east-1", "instance_id": ID}),
        serde_json::json!({"dry_run": ["true"]}),
        "",
    );
    let request = Request::<InstancePath, DryRun>::read(&event).unwrap();
    assert_eq!(
        (request.path.region.as_str(), request.path.instance_id.as_str(), request.query.dry_run),
        ("us-east-1", ID, true)
    );
}

#[test]
fn the_tag_values_of_body_and_query_are_known_for_the_log() {
    let query = serde_json::json!({"tag.Lab": ["ospf", "bgp"], "state": ["running"]});
    let event = event(serde_json::json!({}), query, r#"{"name": "cml-1", "tags": {"Owner": "me", "bad": 1}}"#);
    let mut values = tag_values(&event, &logged_body(&event));
    values.sort();
    assert_eq!(values, ["bgp", "cml-1", "me", "ospf"]);
}

#[test]
fn one_answer_names_the_bad_fields_of_path_query_and_body() {
    let path = serde_json::json!({"region": "US-EAST-1", "instance_id": "i-1"});
    let query = serde_json::json!({"dry_run": ["yes"], "force": ["true"]});
    let refused = Request::<InstancePath, DryRun>::read(&event(path, query, r#"{"x": 1}"#));
    let mut fields = fields(refused);
    fields.sort();
    assert_eq!(fields, ["dry_run", "force", "instance_id", "region", "x"]);
}

#[test]
fn the_path_with_an_instance_and_the_path_without_are_both_read() {
    let read =
        |path: Value, body: &str| Request::<TargetPath, Nothing, StopBody>::read(&event(path, Value::Null, body));
    let one = read(serde_json::json!({"region": "us-east-1", "instance_id": ID}), "").unwrap();
    assert_eq!((one.path.instance_id.unwrap().as_str(), one.body.instance_ids), (ID, None));
    let many = serde_json::json!({"instance_ids": [ID], "force": true}).to_string();
    let many = read(serde_json::json!({"region": "us-east-1"}), &many).unwrap();
    assert!(many.path.instance_id.is_none() && many.body.instance_ids.is_some() && many.body.force);
    let bad = serde_json::json!({"region": "us-east-1", "instance_id": "i-1"});
    assert_eq!(fields(read(bad, r#"{"instance_ids": ["i-2"]}"#)), ["instance_id", "instance_ids[0]"]);
}

#[test]
fn a_parameter_that_is_given_twice_is_refused_where_one_is_taken() {
    let path = serde_json::json!({"region": "us-east-1", "instance_id": ID});
    let query = serde_json::json!({"dry_run": ["true", "false"]});
    assert_eq!(fields(Request::<InstancePath, DryRun>::read(&event(path, query, ""))), ["dry_run"]);
}

#[test]
fn tag_filters_and_repeated_filters_are_read() {
    let query =
        serde_json::json!({"tag.Lab": ["a", "b"], "tag.x.y": ["1"], "state": ["running", "stopped"], "limit": ["5"]});
    let request = Request::<Nothing, ListQuery>::read(&event(Value::Null, query, "")).unwrap();
    assert_eq!(request.query.state.0.len(), 2);
    assert_eq!(format!("{:?}", request.query.tag).matches("TagValue").count(), 3);
    let query = serde_json::json!({"tag": ["a"]});
    assert_eq!(fields(Request::<Nothing, ListQuery>::read(&event(Value::Null, query, ""))), ["tag"]);
}

#[test]
fn keys_to_delete_are_never_none() {
    let path = serde_json::json!({"region": "us-east-1", "instance_id": ID});
    assert_eq!(fields(Request::<InstancePath, TagKeys>::read(&event(path.clone(), Value::Null, ""))), ["key"]);
    let query = serde_json::json!({"key": ["a", "managedBY"]});
    assert_eq!(fields(Request::<InstancePath, TagKeys>::read(&event(path.clone(), query, ""))), ["key[1]"]);
    let query = serde_json::json!({"key": ["a", "b"]});
    assert_eq!(Request::<InstancePath, TagKeys>::read(&event(path, query, "")).unwrap().query.key.len(), 2);
}

#[test]
fn a_body_that_is_not_a_json_object_is_refused() {
    for body in ["{", "[]", "1", "\"x\"", "null"] {
        let fields = fields(Request::<Nothing, Nothing, CreateInstance>::read(&event(Value::Null, Value::Null, body)));
        assert_eq!(fields, ["body"], "{body}");
    }
}

#[test]
fn a_body_over_the_limit_is_a_413() {
    // The documentation names this number.
    assert_eq!(MAX_BODY_BYTES, 65_536);
    let largest = format!("{}{{}}", " ".repeat(MAX_BODY_BYTES - 2));
    assert!(Request::<Nothing, Nothing, Nothing>::read(&event(Value::Null, Value::Null, &largest)).is_ok());
    let body = format!(r#"{{"name": "{}"}}"#, "x".repeat(MAX_BODY_BYTES));
    let error = Request::<Nothing, Nothing, CreateInstance>::read(&event(Value::Null, Value::Null, &body)).unwrap_err();
    assert_eq!(error.code, Code::PayloadTooLarge);
}

#[test]
fn the_scheduled_event_is_no_body() {
    let event = from_str(include_str!("../../../../events/health-schedule.json")).unwrap();
    assert!(Request::<Nothing, Nothing, Nothing>::read(&event).is_ok());
    assert_eq!(fields(Request::<InstancePath>::read(&event)), ["region", "instance_id"]);
}

#[test]
fn a_duplicate_member_or_header_is_refused() {
    let path = || serde_json::json!({"region": "us-east-1"});
    let twice = event(path(), Value::Null, r#"{"instance_ids": ["i-1"], "instance_ids": ["i-2"]}"#);
    assert_eq!(fields(Request::<TargetPath, Nothing, Value>::read(&twice)), ["instance_ids"]);
    let mut keys = event(path(), Value::Null, "{}");
    for key in ["one", "one"] {
        keys.headers_mut().append(IDEMPOTENCY_KEY, key.parse().unwrap());
    }
    assert_eq!(fields(Request::<RegionPath, Nothing, Value>::read(&keys)), [IDEMPOTENCY_KEY]);
}

#[test]
fn the_caller_is_the_identity_that_api_gateway_names() {
    let mut event = serde_json::from_str::<Value>(include_str!("../../../../events/create-instance.json")).unwrap();
    event["requestContext"]["identity"] = serde_json::json!({
        "caller": "AROAEXAMPLE:alice", "userArn": "arn:aws:sts::123456789012:assumed-role/lab/alice",
    });
    let request = Request::<RegionPath, Nothing, Value>::read(&from_str(&event.to_string()).unwrap()).unwrap();
    assert_eq!(request.identity.id.as_deref(), Some("AROAEXAMPLE:alice"));
    assert_eq!(request.identity.arn.as_deref(), Some("arn:aws:sts::123456789012:assumed-role/lab/alice"));
}

#[test]
fn a_path_parameter_is_known_for_the_log_as_it_was_written() {
    let event = event(serde_json::json!({"region": "mars"}), Value::Null, "");
    assert_eq!((path_parameter(&event, "region"), path_parameter(&event, "instance_id")), (Some("mars"), None));
}
