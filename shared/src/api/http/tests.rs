use lambda_http::http::Method;
use lambda_http::request::from_str;

use super::*;
use crate::model::instance::Worker;
use crate::model::launch::CreateInstance;
use crate::model::mutation::DryRun;
use crate::ops::delete_instance_tags::TagKeys;
use crate::ops::get_all_instances::ListQuery;
use crate::ops::lifecycle::Place;
use crate::ops::stop_instance::StopBody;
use crate::testing::ID;

/// An API Gateway event with these path parameters, query parameters and body.
fn event(path: Value, query: Value, body: &str) -> lambda_http::Request {
    let event = serde_json::json!({
        "resource": "/regions/{region}/instances", "path": "/regions/us-east-1/instances", "httpMethod": "POST",
        "headers": {}, "multiValueHeaders": {}, "pathParameters": path, "multiValueQueryStringParameters": query,
        "requestContext": {"stage": "v1", "resourcePath": "/regions/{region}/instances", "httpMethod": "POST", "identity": {}},
        "body": body, "isBase64Encoded": false,
    });
    from_str(&event.to_string()).unwrap()
}

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
    let request = Request::<Worker, DryRun>::read(&event).unwrap();
    assert_eq!(
        (request.path.region.as_str(), request.path.instance_id.as_str(), request.query.dry_run),
        ("us-east-1", ID, true)
    );
}

#[test]
fn the_tag_values_of_body_and_query_are_known_for_the_log() {
    let query = serde_json::json!({"tag.Lab": ["ospf", "bgp"], "state": ["running"]});
    let event = event(serde_json::json!({}), query, r#"{"name": "cml-1", "tags": {"Owner": "me", "bad": 1}}"#);
    let mut values = tag_values(&event);
    values.sort();
    assert_eq!(values, ["bgp", "cml-1", "me", "ospf"]);
}

#[test]
fn one_answer_names_the_bad_fields_of_path_query_and_body() {
    let path = serde_json::json!({"region": "US-EAST-1", "instance_id": "i-1"});
    let query = serde_json::json!({"dry_run": ["yes"], "force": ["true"]});
    let refused = Request::<Worker, DryRun>::read(&event(path, query, r#"{"x": 1}"#));
    let mut fields = fields(refused);
    fields.sort();
    assert_eq!(fields, ["dry_run", "force", "instance_id", "region", "x"]);
}

#[test]
fn the_path_with_an_instance_and_the_path_without_are_both_read() {
    let read = |path: Value, body: &str| Request::<Place, Nothing, StopBody>::read(&event(path, Value::Null, body));
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
    assert_eq!(fields(Request::<Worker, DryRun>::read(&event(path, query, ""))), ["dry_run"]);
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
    assert_eq!(fields(Request::<Worker, TagKeys>::read(&event(path.clone(), Value::Null, ""))), ["key"]);
    let query = serde_json::json!({"key": ["a", "managedBY"]});
    assert_eq!(fields(Request::<Worker, TagKeys>::read(&event(path.clone(), query, ""))), ["key[1]"]);
    let query = serde_json::json!({"key": ["a", "b"]});
    assert_eq!(Request::<Worker, TagKeys>::read(&event(path, query, "")).unwrap().query.key.len(), 2);
}

#[test]
fn a_body_that_is_no_json_or_no_object_is_refused() {
    for body in ["{", "[]", "1", "\"x\"", "null"] {
        let fields = fields(Request::<Nothing, Nothing, CreateInstance>::read(&event(Value::Null, Value::Null, body)));
        assert_eq!(fields, ["body"], "{body}");
    }
}

#[test]
fn a_body_over_the_limit_is_a_413() {
    let body = format!(r#"{{"name": "{}"}}"#, "x".repeat(MAX_BODY_BYTES));
    let error = Request::<Nothing, Nothing, CreateInstance>::read(&event(Value::Null, Value::Null, &body)).unwrap_err();
    assert_eq!(error.code, Code::PayloadTooLarge);
}

#[test]
fn the_scheduled_event_is_no_body() {
    let event = from_str(include_str!("../../../../events/health-schedule.json")).unwrap();
    assert!(Request::<Nothing, Nothing, Nothing>::read(&event).is_ok());
    assert_eq!(fields(Request::<Worker>::read(&event)), ["region", "instance_id"]);
}

#[test]
fn a_launch_is_created_at_a_location() {
    let instance = crate::model::instance::Instance::from_ec2(
        &aws_sdk_ec2::types::Instance::builder().instance_id(ID).build(),
        &crate::testing::region(),
        &crate::testing::clients(&[]),
    );
    let launched = Mutation::Done(Launched {
        instance,
        warnings: Vec::new(),
        failed_attempts: Vec::new(),
        created: true,
        is_read: true,
    });
    let event = event(Value::Null, Value::Null, "");
    assert_eq!(event.method(), Method::POST);
    let response = respond(&event, "request-1", &Ok(launched.clone())).unwrap();
    assert_eq!(response.status(), StatusCode::CREATED);
    assert_eq!(response.headers()[LOCATION], format!("/v1/regions/us-east-1/instances/{ID}"));
    assert_eq!(response.headers()[CONTENT_TYPE], "application/json");
    // Behind a domain name of one's own the caller sees its base path, and no stage.
    let behind = serde_json::json!({
        "resource": "/regions/{region}/instances", "path": "/workers/regions/us-east-1/instances", "httpMethod": "POST",
        "headers": {}, "multiValueHeaders": {},
        "requestContext": {"stage": "v1", "path": "/workers/regions/us-east-1/instances",
                           "resourcePath": "/regions/{region}/instances", "httpMethod": "POST", "identity": {}},
    });
    let response = respond(&from_str(&behind.to_string()).unwrap(), "request-1", &Ok(launched)).unwrap();
    assert_eq!(response.headers()[LOCATION], format!("/workers/regions/us-east-1/instances/{ID}"));
}

#[test]
fn what_stands_twice_is_refused() {
    let path = || serde_json::json!({"region": "us-east-1"});
    let twice = event(path(), Value::Null, r#"{"instance_ids": ["i-1"], "instance_ids": ["i-2"]}"#);
    assert_eq!(fields(Request::<Place, Nothing, Value>::read(&twice)), ["instance_ids"]);
    let mut keys = event(path(), Value::Null, "{}");
    for key in ["one", "one"] {
        keys.headers_mut().append(IDEMPOTENCY_KEY, key.parse().unwrap());
    }
    assert_eq!(fields(Request::<InRegion, Nothing, Value>::read(&keys)), [IDEMPOTENCY_KEY]);
}

#[test]
fn an_error_is_a_problem_document() {
    let error = Error::from(Invalid::field("window", "must be 30s").and(Invalid::field("region", "must be a region")));
    let response = respond_to_error("request-1", &error).unwrap();
    assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
    let problem: Value = serde_json::from_slice(response.body().as_ref()).unwrap();
    assert_eq!(
        problem,
        serde_json::json!({
            "type": "urn:cml:problem:invalid_request", "title": "Invalid request", "status": 400,
            "detail": "window: must be 30s; region: must be a region", "code": "invalid_request", "request_id": "request-1",
            "retryable": false, "field": "window",
            "errors": [{"field": "window", "detail": "must be 30s"}, {"field": "region", "detail": "must be a region"}],
        })
    );
}

#[test]
fn a_throttled_caller_is_told_when_to_come_back() {
    let response = respond_to_error("request-1", &Error::new(Code::Throttled, "slow down")).unwrap();
    let problem: Value = serde_json::from_slice(response.body().as_ref()).unwrap();
    assert_eq!((response.status().as_u16(), &response.headers()[RETRY_AFTER]), (429, &"5".parse().unwrap()));
    assert_eq!(problem["retry_after_seconds"], 5);
}

fn change() -> StateChange {
    let instance = aws_sdk_ec2::types::Instance::builder().build();
    let instance =
        crate::model::instance::Instance::from_ec2(&instance, &crate::testing::region(), &crate::testing::clients(&[]));
    StateChange::none(&crate::testing::worker().instance_id, &instance)
}

#[test]
fn what_is_not_finished_is_accepted_with_the_same_document() {
    let event = event(Value::Null, Value::Null, "");
    let done = respond(&event, "request-1", &Ok(Mutation::Done(StateChanges::One(change())))).unwrap();
    let unfinished = respond(&event, "request-1", &Ok(Mutation::Unfinished(StateChanges::One(change())))).unwrap();
    assert_eq!((done.status(), unfinished.status()), (StatusCode::OK, StatusCode::ACCEPTED));
    assert_eq!(done.body(), unfinished.body());
}

#[test]
fn an_error_among_results_is_the_same_problem_document_and_goes_into_the_log() {
    let error = Error::from(Invalid::field("instance_id", "must be nicer"));
    let id = crate::testing::worker().instance_id;
    let result = |outcome| InstanceResult { instance_id: id.clone(), outcome };
    let results = vec![
        result(Ok(Outcome::Changed(change()))),
        result(Ok(Outcome::Permitted(Permitted::YES))),
        result(Err(error.clone())),
    ];
    let answer = Mutation::Done(StateChanges::Many(Results(results)));
    assert_eq!(answer.failures().into_iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>(), [ID]);
    let response = respond(&event(Value::Null, Value::Null, ""), "request-1", &Ok(answer)).unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let document: Value = serde_json::from_slice(response.body().as_ref()).unwrap();
    let problem: Value =
        serde_json::from_slice(respond_to_error("request-1", &error).unwrap().body().as_ref()).unwrap();
    let permitted = serde_json::json!({"instance_id": ID, "dry_run": true, "permitted": true});
    let failed = serde_json::json!({"instance_id": ID, "error": problem});
    assert_eq!(document, serde_json::json!({"results": [change(), permitted, failed]}));
    assert_eq!(problem["request_id"], "request-1");
}

#[test]
fn nothing_else_than_a_failed_health_check_is_an_error_status() {
    let health = |status| {
        Health { status, version: "0", regions: Vec::new(), checks: Vec::new(), permissions: None }.status().as_u16()
    };
    assert_eq!([HealthStatus::Ok, HealthStatus::Degraded, HealthStatus::Failed].map(health), [200, 200, 503]);
}

#[test]
fn a_caller_is_a_user_a_role_or_the_person_in_a_session() {
    let variable = |name: &str| match name {
        "AWS_REGION" => Some("us-east-1".to_owned()),
        "CML_ROLES_OF_PEOPLE" => Some("lab-*".to_owned()),
        _ => None,
    };
    let (config, sts) = (Config::read(variable).unwrap(), "arn:aws:sts::123456789012");
    for (caller, arn, id, who) in [
        (
            "AIDAEXAMPLE",
            "arn:aws:iam::123456789012:user/team/alice".to_owned(),
            "AIDAEXAMPLE",
            "arn:aws:iam::123456789012:user/team/alice",
        ),
        (
            "AROAEXAMPLE:one",
            format!("{sts}:assumed-role/ci/one"),
            "AROAEXAMPLE",
            "arn:aws:sts::123456789012:assumed-role/ci",
        ),
        (
            "AROAEXAMPLE:alice@example.com",
            format!("{sts}:assumed-role/AWSReservedSSO_Admin_0123456789abcdef/alice@example.com"),
            "AROAEXAMPLE:alice@example.com",
            "arn:aws:sts::123456789012:assumed-role/AWSReservedSSO_Admin_0123456789abcdef/alice@example.com",
        ),
        (
            "123456789012:bob",
            format!("{sts}:federated-user/bob"),
            "123456789012:bob",
            "arn:aws:sts::123456789012:federated-user/bob",
        ),
        (
            "AROAEXAMPLE:carol",
            format!("{sts}:assumed-role/lab-users/carol"),
            "AROAEXAMPLE:carol",
            "arn:aws:sts::123456789012:assumed-role/lab-users/carol",
        ),
        ("123456789012", "arn:aws:iam::123456789012:root".to_owned(), "123456789012", "arn:aws:iam::123456789012:root"),
    ] {
        let identity = Identity { id: Some(caller.to_owned()), arn: Some(arn) }.lasting(&config);
        assert_eq!((identity.id.as_deref(), identity.arn.as_deref()), (Some(id), Some(who)));
    }
    let nobody = Identity::default().lasting(&config);
    assert_eq!((nobody.id, nobody.arn), (None, None));
}
