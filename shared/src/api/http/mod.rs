//! API Gateway: the only module that knows paths, queries, bodies, headers and status codes.

use deserr::Deserr;
use lambda_http::http::StatusCode;
use lambda_http::http::header::{CONTENT_TYPE, LOCATION, RETRY_AFTER};
use lambda_http::request::RequestContext;
use lambda_http::{Body, RequestExt, Response};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use crate::api::json;
use crate::config::Config;
use crate::error::{Code, DeniedBy, Error};
use crate::input::{FieldError, Invalid, Nothing, both};
use crate::model::idempotency::{IdempotencyKey, Replay};
use crate::model::image::Images;
use crate::model::instance::{InRegion, InstanceId, StateChange};
use crate::model::mutation::{Mutation, Permitted};
use crate::model::status::InstanceStatus;
use crate::model::tags::InstanceTags;
use crate::model::utilization::Utilization;
use crate::ops::create_instance::{Caller, Launched};
use crate::ops::get_all_instances::InstanceList;
use crate::ops::health::{Health, HealthStatus};
use crate::ops::lifecycle::{InstanceResult, Outcome, Results, StateChanges};

/// The header by which a caller marks a request that it may send again.
pub const IDEMPOTENCY_KEY: &str = "Idempotency-Key";

/// The largest body that is read.
pub const MAX_BODY_BYTES: usize = 64 * 1024;

/// A request whose fields were checked: what the route's path, query and body are, as types.
#[derive(Debug, Clone)]
pub struct Request<Path = Nothing, Query = Nothing, Input = Nothing> {
    /// The path parameters.
    pub path: Path,
    /// The query parameters.
    pub query: Query,
    /// The body, a JSON object; no body is an empty one.
    pub body: Input,
    /// The body as it came, for what must know whether two are the same.
    raw_body: Value,
    /// The header `Idempotency-Key`.
    idempotency_key: Option<IdempotencyKey>,
    /// Who signed the request; unknown outside API Gateway.
    identity: Identity,
}

/// Who signed a request.
#[derive(Debug, Clone, Default)]
struct Identity {
    /// `AIDA…` for a user, `account:name` for a federated one, `AROA…:session` for a role.
    id: Option<String>,
    /// The ARN of the same.
    arn: Option<String>,
}

impl Identity {
    /// As API Gateway says it.
    fn of(event: &lambda_http::Request) -> Self {
        let Some(RequestContext::ApiGatewayV1(context)) = event.request_context_ref() else { return Self::default() };
        let identity = &context.identity;
        Self { id: identity.caller.clone(), arn: identity.user_arn.clone() }
    }

    /// The same without the session's name, which changes with each session, unless sessions of this role are people.
    fn lasting(&self, config: &Config) -> Self {
        let session = self.arn.as_deref().and_then(|arn| arn.split_once(":assumed-role/")).map(|(_, session)| session);
        let role = session.and_then(|session| session.split_once('/')).map(|(role, _)| role);
        if role.is_none_or(|role| config.is_of_people(role)) {
            return self.clone();
        }
        let without = |text: &Option<String>, separator| {
            text.as_ref().map(|text| text.rsplit_once(separator).map_or(&**text, |(before, _)| before).to_owned())
        };
        Self { id: without(&self.id, ':'), arn: without(&self.arn, '/') }
    }
}

impl<Path, Query, Input> Request<Path, Query, Input>
where
    Path: Deserr<Invalid>,
    Query: Deserr<Invalid>,
    Input: Deserr<Invalid>,
{
    /// Reads an event.
    ///
    /// # Errors
    /// [`Code::InvalidRequest`] with every bad field of path, query and body; [`Code::PayloadTooLarge`].
    pub fn read(event: &lambda_http::Request) -> Result<Self, Error> {
        let raw_body = body(event)?;
        let path = deserr::deserialize(path(event));
        let query = deserr::deserialize(query(event));
        // A body that is no JSON is reported once, with the raw one.
        let body = raw_body.clone().map_err(|_| Invalid::default()).and_then(deserr::deserialize);
        let (((path, query), body), (raw_body, idempotency_key)) =
            both(both(both(path, query), body), both(raw_body, idempotency_key(event)))?;
        Ok(Self { path, query, body, raw_body, idempotency_key, identity: Identity::of(event) })
    }
}

impl<Query, Input> Request<InRegion, Query, Input> {
    /// Who asks for a launch, and whether the request may be sent again.
    #[must_use]
    pub fn caller(&self, config: &Config) -> Caller {
        let identity = self.identity.lasting(config);
        let replay = |key| Replay::new(key, &self.path.region, identity.id.as_deref(), &self.raw_body);
        Caller { arn: identity.arn.clone(), replay: self.idempotency_key.as_ref().map(replay) }
    }
}

fn idempotency_key(event: &lambda_http::Request) -> Result<Option<IdempotencyKey>, Invalid> {
    let mut headers = event.headers().get_all(IDEMPOTENCY_KEY).iter();
    let Some(header) = headers.next() else { return Ok(None) };
    if headers.next().is_some() {
        return Err(Invalid::field(IDEMPOTENCY_KEY, "stands there twice"));
    }
    let text = String::from_utf8_lossy(header.as_bytes()).into_owned();
    let key = IdempotencyKey::try_from(text).map_err(|refusal| Invalid::field(IDEMPOTENCY_KEY, refusal.0))?;
    Ok(Some(key))
}

/// One path parameter as the caller wrote it, for the log.
pub(crate) fn path_parameter<'a>(event: &'a lambda_http::Request, name: &str) -> Option<&'a str> {
    event.path_parameters_ref()?.first(name)
}

/// The tag values that the caller sent, in the body's `tags` and `name` and the query's `tag.<key>`, for keeping them out of
/// the log.
pub(crate) fn tag_values(event: &lambda_http::Request) -> Vec<String> {
    let body: Value = serde_json::from_slice(event.body()).unwrap_or_default();
    let in_body = body.get("tags").and_then(Value::as_object).into_iter().flat_map(Map::values);
    let in_body = in_body.chain(body.get("name"));
    let query = event.query_string_parameters();
    let in_query = query.iter().filter(|(name, _)| name.starts_with("tag.")).map(|(_, value)| value);
    in_body.filter_map(Value::as_str).chain(in_query).map(str::to_owned).collect()
}

fn path(event: &lambda_http::Request) -> Value {
    let parameters = event.path_parameters();
    parameters.iter().map(|(name, value)| (name.to_owned(), Value::from(value))).collect::<Map<_, _>>().into()
}

/// Parameters given once are strings, given again lists; `tag.a=1` stands as `{"tag": {"a": "1"}}`.
fn query(event: &lambda_http::Request) -> Value {
    let mut query = Map::new();
    for (name, value) in event.query_string_parameters().iter() {
        match name.strip_prefix("tag.") {
            Some(key) => {
                // Beside `tag=` without a key there is no object to add to: that one is refused already.
                if let Value::Object(tags) = query.entry("tag").or_insert_with(|| Map::new().into()) {
                    add(tags, key, value);
                }
            }
            None => add(&mut query, name, value),
        }
    }
    query.into()
}

fn add(to: &mut Map<String, Value>, name: &str, value: &str) {
    match to.get_mut(name) {
        None => drop(to.insert(name.to_owned(), value.into())),
        Some(Value::Array(values)) => values.push(value.into()),
        Some(first) => *first = vec![first.take(), value.into()].into(),
    }
}

/// The body as JSON. An EventBridge event arrives as a body too, but is no caller's input.
fn body(event: &lambda_http::Request) -> Result<Result<Value, Invalid>, Error> {
    let bytes = if is_scheduled(event) { &[] } else { event.body().as_ref() };
    if bytes.len() > MAX_BODY_BYTES {
        let detail = format!("The body has {} bytes; at most {MAX_BODY_BYTES} are read", bytes.len());
        return Err(Error::new(Code::PayloadTooLarge, detail));
    }
    if bytes.is_empty() {
        return Ok(Ok(Map::new().into()));
    }
    Ok(json::read(bytes))
}

/// Whether the event is no HTTP request: EventBridge's schedule, or a direct invocation.
pub(crate) fn is_scheduled(event: &lambda_http::Request) -> bool {
    matches!(event.request_context_ref(), Some(RequestContext::PassThrough))
}

/// What an operation answers, and the little that HTTP adds to it.
pub trait Document: Serialize {
    /// The body. Errors in it carry the request id, as every error does.
    ///
    /// # Errors
    /// If the document is no JSON: a fault of this crate.
    fn json(&self, _request_id: &str) -> serde_json::Result<String> {
        serde_json::to_string(self)
    }

    /// The instances that failed while others did not, for the log.
    fn failures(&self) -> Vec<(&InstanceId, &Error)> {
        Vec::new()
    }

    /// The status.
    fn status(&self) -> StatusCode {
        StatusCode::OK
    }

    /// The path of what was made, below the path that was called.
    fn location(&self) -> Option<&str> {
        None
    }
}

impl Document for Images {}
impl Document for InstanceList {}
impl Document for InstanceStatus {}
impl Document for InstanceTags {}
impl Document for Utilization {}
impl Document for crate::model::field_selection::Narrowed {}

impl Document for Launched {
    fn status(&self) -> StatusCode {
        if self.created { StatusCode::CREATED } else { StatusCode::OK }
    }

    fn location(&self) -> Option<&str> {
        Some(&self.instance.instance_id)
    }
}

impl Document for Health {
    fn status(&self) -> StatusCode {
        match self.status {
            HealthStatus::Ok | HealthStatus::Degraded => StatusCode::OK,
            HealthStatus::Failed => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl<T: Document> Document for Mutation<T> {
    fn json(&self, request_id: &str) -> serde_json::Result<String> {
        match self {
            Self::Done(document) | Self::Unfinished(document) => document.json(request_id),
            Self::DryRun(permitted) => serde_json::to_string(permitted),
        }
    }

    fn failures(&self) -> Vec<(&InstanceId, &Error)> {
        match self {
            Self::Done(document) | Self::Unfinished(document) => document.failures(),
            Self::DryRun(_) => Vec::new(),
        }
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::Done(document) => document.status(),
            Self::Unfinished(_) => StatusCode::ACCEPTED,
            Self::DryRun(_) => StatusCode::OK,
        }
    }

    fn location(&self) -> Option<&str> {
        match self {
            Self::Done(document) | Self::Unfinished(document) => document.location(),
            Self::DryRun(_) => None,
        }
    }
}

impl Document for StateChanges {
    fn json(&self, request_id: &str) -> serde_json::Result<String> {
        match self {
            Self::One(change) => serde_json::to_string(change),
            Self::Many(results) => serde_json::to_string(&results.entries(request_id)),
        }
    }

    fn failures(&self) -> Vec<(&InstanceId, &Error)> {
        let Self::Many(results) = self else { return Vec::new() };
        let failed = results.0.iter().filter_map(|result| Some((&result.instance_id, result.outcome.as_ref().err()?)));
        failed.collect()
    }
}

/// Many results as they are written.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Results))]
pub struct Entries<'a> {
    results: Vec<Entry<'a>>,
}

/// One of them. A change names its instance itself.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Result))]
#[serde(untagged)]
enum Entry<'a> {
    Changed(&'a StateChange),
    Permitted {
        instance_id: &'a InstanceId,
        #[serde(flatten)]
        permitted: Permitted,
    },
    Failed {
        instance_id: &'a InstanceId,
        error: Problem<'a>,
    },
}

impl Results {
    fn entries<'a>(&'a self, request_id: &'a str) -> Entries<'a> {
        let entry = |InstanceResult { instance_id, outcome }: &'a InstanceResult| match outcome {
            Ok(Outcome::Changed(change)) => Entry::Changed(change),
            Ok(Outcome::Permitted(permitted)) => Entry::Permitted { instance_id, permitted: *permitted },
            Err(error) => Entry::Failed { instance_id, error: Problem::new(request_id, error) },
        };
        Entries { results: self.0.iter().map(entry).collect() }
    }
}

/// Outside of a request the errors have no request id.
impl Serialize for Results {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.entries("").serialize(serializer)
    }
}

/// The response to `event`.
///
/// # Errors
/// If the document is no JSON or a header no header; both would be faults of this crate.
pub fn respond<D: Document>(
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

/// The path that the caller sees: behind a domain name of one's own it begins with that name's base path, and not with the
/// stage. Only the request context has it.
fn called_path(event: &lambda_http::Request) -> String {
    let seen = match event.request_context_ref() {
        Some(RequestContext::ApiGatewayV1(context)) => context.path.clone(),
        _ => None,
    };
    seen.unwrap_or_else(|| event.uri().path().to_owned())
}

/// RFC 9457, with our extensions behind its four members.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Problem<'a> {
    #[serde(serialize_with = "problem_type")]
    #[cfg_attr(feature = "openapi", schema(value_type = String, pattern = "^urn:cml:problem:[a-z_]+$"))]
    r#type: Code,
    title: &'static str,
    status: u16,
    detail: &'a str,
    code: Code,
    #[serde(skip_serializing_if = "str::is_empty")]
    request_id: &'a str,
    retryable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    aws_code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    aws_request_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    missing_permission: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    denied_resource: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    denied_by: Option<DeniedBy>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    field: Option<&'a str>,
    #[serde(skip_serializing_if = "<[FieldError]>::is_empty")]
    errors: &'a [FieldError],
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    retry_after_seconds: Option<u32>,
}

impl<'a> Problem<'a> {
    fn new(request_id: &'a str, error: &'a Error) -> Self {
        let (status, title) = status_and_title(error.code);
        let errors = error.fields.errors();
        Self {
            r#type: error.code,
            title,
            status: status.as_u16(),
            detail: &error.detail,
            code: error.code,
            request_id,
            retryable: error.retryable,
            aws_code: error.aws_code(),
            aws_request_id: error.aws.as_ref().and_then(|aws| aws.request_id.as_deref()),
            missing_permission: error.missing_permission(),
            denied_resource: error.denial.as_ref().and_then(|denial| denial.resource.as_deref()),
            denied_by: error.denial.as_ref().and_then(|denial| denial.by),
            field: errors.first().map(|error| error.field.as_str()),
            errors,
            retry_after_seconds: error.retry_after_seconds,
        }
    }
}

pub(crate) fn respond_to_error(request_id: &str, error: &Error) -> Result<Response<Body>, lambda_http::Error> {
    let (status, _) = status_and_title(error.code);
    let mut response = Response::builder().status(status).header(CONTENT_TYPE, "application/problem+json");
    if let Some(seconds) = error.retry_after_seconds {
        response = response.header(RETRY_AFTER, seconds);
    }
    Ok(response.body(serde_json::to_string(&Problem::new(request_id, error))?.into())?)
}

fn problem_type<S: Serializer>(code: &Code, serializer: S) -> Result<S::Ok, S::Error> {
    let name = code_name(*code).map_err(serde::ser::Error::custom)?;
    serializer.collect_str(&format_args!("urn:cml:problem:{name}"))
}

/// The code as JSON spells it.
pub(crate) fn code_name(code: Code) -> Result<String, serde_json::Error> {
    serde_json::to_value(code).map(|name| name.as_str().unwrap_or_default().to_owned())
}

/// The status and the title of a refusal. One row a code; the compiler keeps it complete.
#[must_use]
pub fn status_and_title(code: Code) -> (StatusCode, &'static str) {
    match code {
        Code::InvalidRequest => (StatusCode::BAD_REQUEST, "Invalid request"),
        Code::PayloadTooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "Payload too large"),
        Code::MissingPermission => (StatusCode::FORBIDDEN, "Missing permission"),
        Code::SubscriptionRequired => (StatusCode::FORBIDDEN, "Subscription required"),
        Code::AccountNotActive => (StatusCode::FORBIDDEN, "Account not active"),
        Code::NotManaged => (StatusCode::FORBIDDEN, "Instance not managed"),
        Code::RegionNotAllowed => (StatusCode::FORBIDDEN, "Region not allowed"),
        Code::InstanceTypeNotAllowed => (StatusCode::FORBIDDEN, "Instance type not allowed"),
        Code::InstanceNotFound => (StatusCode::NOT_FOUND, "Instance not found"),
        Code::ImageNotFound => (StatusCode::NOT_FOUND, "Image not found"),
        Code::IncorrectState => (StatusCode::CONFLICT, "Incorrect state"),
        Code::IdempotencyMismatch => (StatusCode::CONFLICT, "Idempotency mismatch"),
        Code::OperationNotPermitted => (StatusCode::CONFLICT, "Operation not permitted"),
        // The request is well-formed and would be carried out under another quota.
        Code::QuotaExceeded => (StatusCode::UNPROCESSABLE_ENTITY, "Quota exceeded"),
        Code::Throttled => (StatusCode::TOO_MANY_REQUESTS, "Throttled by AWS"),
        // The caller's own credentials were good, or API Gateway would have refused: these are the function's.
        Code::AwsCredentialsInvalid => (StatusCode::INTERNAL_SERVER_ERROR, "AWS credentials invalid"),
        Code::AwsError => (StatusCode::BAD_GATEWAY, "AWS error"),
        Code::InsufficientCapacity => (StatusCode::SERVICE_UNAVAILABLE, "Insufficient capacity"),
        Code::AwsTimeout => (StatusCode::GATEWAY_TIMEOUT, "AWS timeout"),
    }
}

#[cfg(test)]
mod tests;
