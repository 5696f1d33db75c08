//! Writes an answer as HTTP.

use lambda_http::http::header::{CONTENT_TYPE, LOCATION, RETRY_AFTER};
use lambda_http::request::RequestContext;
use lambda_http::{Body, RequestExt, Response};

use crate::error::Error;
use crate::error::problem::{Problem, status_and_title};
use crate::model::document::Document;

/// The response to `event`.
///
/// # Errors
/// A document that cannot be written as JSON, or a header that is not valid; both would be faults of this crate.
pub(crate) fn respond<D: Document>(
    event: &lambda_http::Request,
    request_id: &str,
    result: &Result<D, Error>,
) -> Result<Response<Body>, lambda_http::Error> {
    match result {
        Ok(document) => answer(event, request_id, document),
        Err(error) => respond_to_error(request_id, error),
    }
}

fn answer<D: Document>(
    event: &lambda_http::Request,
    request_id: &str,
    document: &D,
) -> Result<Response<Body>, lambda_http::Error> {
    let mut response = Response::builder().status(document.status()).header(CONTENT_TYPE, "application/json");
    if let Some(below) = document.location() {
        response = response.header(LOCATION, format!("{}/{below}", called_path(event)));
    }
    Ok(response.body(document.json(request_id)?.into())?)
}

/// The path that the caller sees. Behind a custom domain name it begins with that name's base path, and not with the stage.
/// Only the request context has it.
fn called_path(event: &lambda_http::Request) -> String {
    let seen = match event.request_context_ref() {
        Some(RequestContext::ApiGatewayV1(context)) => context.path.clone(),
        _ => None,
    };
    seen.unwrap_or_else(|| event.uri().path().to_owned())
}

pub(crate) fn respond_to_error(request_id: &str, error: &Error) -> Result<Response<Body>, lambda_http::Error> {
    let (status, _) = status_and_title(error.code);
    let mut response = Response::builder().status(status).header(CONTENT_TYPE, "application/problem+json");
    if let Some(seconds) = error.retry_after_seconds {
        response = response.header(RETRY_AFTER, seconds);
    }
    Ok(response.body(serde_json::to_string(&Problem::new(request_id, error))?.into())?)
}

#[cfg(test)]
mod tests {
    use lambda_http::http::Method;
    use lambda_http::request::from_str;
    use serde_json::Value;

    use super::*;
    use crate::error::Code;
    use crate::input::Invalid;
    use crate::model::mutation::{Mutation, Permitted};
    use crate::model::state_change::{InstanceResult, Outcome, Results, StateChange, StateChanges};
    use crate::ops::create_instance::Launched;
    use crate::testing::{ID, event};

    #[test]
    fn a_launch_is_created_at_a_location() {
        let instance = crate::testing::read(&aws_sdk_ec2::types::Instance::builder().instance_id(ID).build());
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
        assert_eq!(response.status(), 201);
        assert_eq!(response.headers()[LOCATION], format!("/v1/regions/us-east-1/instances/{ID}"));
        assert_eq!(response.headers()[CONTENT_TYPE], "application/json");
        // Behind a custom domain name the caller sees its base path, and no stage.
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
    fn an_error_is_a_problem_document() {
        let error =
            Error::from(Invalid::field("window", "must be 30s").and(Invalid::field("region", "must be a region")));
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
        let instance = crate::testing::read(&instance);
        StateChange::none(&crate::testing::worker().instance_id, &instance)
    }

    #[test]
    fn an_unfinished_change_is_a_202_with_the_same_document() {
        let event = event(Value::Null, Value::Null, "");
        let done = respond(&event, "request-1", &Ok(Mutation::Done(StateChanges::One(change())))).unwrap();
        let unfinished = respond(&event, "request-1", &Ok(Mutation::Unfinished(StateChanges::One(change())))).unwrap();
        assert_eq!((done.status().as_u16(), unfinished.status().as_u16()), (200, 202));
        assert_eq!(done.body(), unfinished.body());
    }

    #[test]
    fn an_error_among_results_is_a_logged_problem_document() {
        let error = Error::from(Invalid::field("instance_id", "must be nicer"));
        let id = crate::testing::worker().instance_id;
        let result = |outcome| InstanceResult { instance_id: id.clone(), outcome };
        let results = vec![
            result(Ok(Outcome::Changed(change()))),
            result(Ok(Outcome::Permitted(Permitted::YES))),
            result(Err(error.clone())),
        ];
        let answer = Mutation::Done(StateChanges::Many(Results(results)));
        let effects = answer.effects().into_iter().map(|effect| (effect.instance_id, effect.result.ok()));
        assert_eq!(effects.collect::<Vec<_>>(), [(ID, Some(false)), (ID, Some(false)), (ID, None)]);
        let response = respond(&event(Value::Null, Value::Null, ""), "request-1", &Ok(answer)).unwrap();
        assert_eq!(response.status(), 200);
        let document: Value = serde_json::from_slice(response.body().as_ref()).unwrap();
        let problem: Value =
            serde_json::from_slice(respond_to_error("request-1", &error).unwrap().body().as_ref()).unwrap();
        let permitted = serde_json::json!({"instance_id": ID, "dry_run": true, "permitted": true});
        let failed = serde_json::json!({"instance_id": ID, "error": problem});
        assert_eq!(document, serde_json::json!({"results": [change(), permitted, failed]}));
        assert_eq!(problem["request_id"], "request-1");
    }
}
