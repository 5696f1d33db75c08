//! What the operations answer: documents, and refusals of two kinds, the functions' own and API Gateway's.

use std::collections::{BTreeMap, BTreeSet};

use axum::http::StatusCode;
use serde_json::to_value;
use shared::error::Code;
use shared::error::problem::{Problem, status_and_title};
use utoipa::ToSchema;
use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::schema::{AdditionalProperties, AnyOfBuilder};
use utoipa::openapi::{
    Content, Header, HeaderBuilder, ObjectBuilder, Ref, RefOr, Response, ResponseBuilder, Schema, Type,
};

/// What API Gateway itself can answer, as GatewayResponses in `template.yaml` have it. A test compares the two.
pub const GATEWAY_CODES: [(u16, &str); 13] = [
    (400, "invalid_request"),
    (401, "unauthorized"),
    (403, "expired_token"),
    (403, "invalid_signature"),
    (403, "missing_authentication_token"),
    (403, "missing_permission"),
    (403, "request_filtered"),
    (403, "request_refused"),
    (404, "route_not_found"),
    (413, "payload_too_large"),
    (429, "throttled"),
    (502, "aws_error"),
    (504, "aws_timeout"),
];

/// What every route can answer, whatever it does: most of it before the function runs.
const ON_EVERY_ROUTE: [u16; 7] = [400, 401, 403, 413, 429, 502, 504];

/// API Gateway's own problem document.
pub(super) const GATEWAY_PROBLEM: &str = "GatewayProblem";

/// A document, or one of several.
pub(super) fn document(description: &str, schemas: &[&str]) -> ResponseBuilder {
    ResponseBuilder::new().description(description).content("application/json", content(schemas))
}

/// The same answer, with the path of what was made: each time, or only if something was.
pub(super) fn located(response: ResponseBuilder, each_time: bool) -> ResponseBuilder {
    let path = ObjectBuilder::new().schema_type(Type::String);
    let path = path.pattern(Some("/regions/[a-z0-9-]+/instances/i-[0-9a-f]+$"));
    let header = HeaderBuilder::new().schema(Some(path)).description(Some("The instance's path"));
    // utoipa's headers have no member for it, and write what is in here as it is.
    let required = each_time.then(|| Extensions::from_iter([("required", true)]));
    response.header("Location", header.extensions(required).build())
}

/// The references to the responses for these codes.
pub(super) fn refused(codes: &[Code]) -> impl Iterator<Item = (String, Ref)> {
    let statuses: BTreeSet<u16> = codes.iter().map(|code| status(*code)).chain(ON_EVERY_ROUTE).collect();
    statuses.into_iter().map(|status| (status.to_string(), Ref::from_response_name(name(status))))
}

/// One response for each status that any of these codes or API Gateway answers with.
pub(super) fn refusals(codes: &[Code]) -> BTreeMap<String, RefOr<Response>> {
    let ours = codes.iter().map(|code| (status(*code), word(*code), Problem::name().into_owned()));
    let gateways = GATEWAY_CODES.map(|(status, word)| (status, word.to_owned(), GATEWAY_PROBLEM.to_owned()));
    let mut responses: BTreeMap<u16, [BTreeSet<String>; 2]> = BTreeMap::new();
    for (status, word, schema) in ours.chain(gateways) {
        let [words, schemas] = responses.entry(status).or_default();
        words.insert(format!("`{word}`"));
        schemas.insert(schema);
    }
    responses.into_iter().map(|(status, [words, schemas])| (name(status), refusal(status, &words, &schemas))).collect()
}

fn refusal(status: u16, words: &BTreeSet<String>, schemas: &BTreeSet<String>) -> RefOr<Response> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let schemas: Vec<&str> = schemas.iter().map(String::as_str).collect();
    let response = ResponseBuilder::new().description(words.join(", "));
    let response = response.content("application/problem+json", content(&schemas));
    let response = if matches!(status, 429 | 503) { response.header("Retry-After", retry_after()) } else { response };
    response.build().into()
}

fn retry_after() -> Header {
    let seconds = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1));
    HeaderBuilder::new().schema(Some(seconds)).description(Some("Seconds")).build()
}

/// API Gateway's own problem document: what its templates can say.
pub(super) fn gateway_problem() -> Schema {
    let text = || ObjectBuilder::new().schema_type(Type::String);
    let boolean = ObjectBuilder::new().schema_type(Type::Boolean);
    let integer = || ObjectBuilder::new().schema_type(Type::Integer);
    let codes: BTreeSet<&str> = GATEWAY_CODES.iter().map(|(_, code)| *code).collect();
    ObjectBuilder::new()
        .description(Some(
            "A refusal of API Gateway's own, or of a function that failed before it could answer. `request_refused` has no \
             `status`: API Gateway's templates cannot name it.",
        ))
        .property("type", text().pattern(Some("^urn:cml:problem:[a-z_]+$")))
        .property("title", text())
        .property("status", integer())
        .property("detail", text())
        .property("code", text().enum_values(Some(codes)))
        .property("request_id", text())
        .property("retryable", boolean)
        .property("missing_permission", text())
        .property("retry_after_seconds", integer())
        .required("type")
        .required("title")
        .required("detail")
        .required("code")
        .required("request_id")
        .required("retryable")
        .additional_properties(Some(AdditionalProperties::FreeForm(false)))
        .into()
}

/// A body of one of these schemas.
pub(super) fn content(schemas: &[&str]) -> Content {
    let schema = match schemas {
        [one] => Ref::from_schema_name(*one).into(),
        several => {
            several.iter().fold(AnyOfBuilder::new(), |any, schema| any.item(Ref::from_schema_name(*schema))).into()
        }
    };
    Content::new::<RefOr<Schema>>(Some(schema))
}

fn status(code: Code) -> u16 {
    status_and_title(code).0
}

/// The code as JSON spells it.
fn word(code: Code) -> String {
    to_value(code).ok().and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default()
}

/// `Payload Too Large` → `PayloadTooLarge`.
fn name(status: u16) -> String {
    let reason = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or_default();
    reason.replace(' ', "")
}
