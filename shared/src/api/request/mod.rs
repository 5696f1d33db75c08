//! Reads an event of API Gateway: path, query, body and headers.

use deserr::Deserr;
use lambda_http::RequestExt;
use lambda_http::request::RequestContext;
use serde_json::{Map, Value};

use crate::api::json;
use crate::error::{Code, Error};
use crate::input::Invalid;
use crate::model::idempotency_key::IdempotencyKey;
use crate::model::instance_id::InstanceId;
use crate::model::instance_ids::MAX_INSTANCES;
use crate::model::request::{Identity, Keyed, Request};

/// The header by which a caller marks a request that it may send again.
pub const IDEMPOTENCY_KEY: &str = "Idempotency-Key";

/// The largest body that is read, in bytes.
pub const MAX_BODY_BYTES: usize = 64 * 1024;

/// A type that can be read from an event.
pub trait FromEvent: Sized {
    /// Reads an event.
    ///
    /// # Errors
    /// [`Code::InvalidRequest`] with every bad field of path, query and body; [`Code::PayloadTooLarge`] for a body that is
    /// too large.
    fn read(event: &lambda_http::Request) -> Result<Self, Error>;
}

impl<Path, Query, Input> FromEvent for Request<Path, Query, Input>
where
    Path: Deserr<Invalid>,
    Query: Deserr<Invalid>,
    Input: Deserr<Invalid>,
{
    fn read(event: &lambda_http::Request) -> Result<Self, Error> {
        let mut invalid = Invalid::default();
        let path = invalid.keep(deserr::deserialize(path(event)));
        let query = invalid.keep(deserr::deserialize(query(event)));
        let raw_body = invalid.keep(body(event)?);
        let key = idempotency_key(event);
        // Only a request with a key is compared with others by its body.
        let keyed_body = raw_body.clone().filter(|_| matches!(key, Ok(Some(_))));
        let body = raw_body.and_then(|body| invalid.keep(deserr::deserialize(body)));
        let key = invalid.keep(key);
        let keyed = key.map(|key| Some(Keyed { key: key?, body: keyed_body? }));
        let (Some(path), Some(query), Some(body), Some(keyed)) = (path, query, body, keyed) else {
            return Err(invalid.into());
        };
        Ok(Self { path, query, body, keyed, identity: identity(event) })
    }
}

fn idempotency_key(event: &lambda_http::Request) -> Result<Option<IdempotencyKey>, Invalid> {
    let mut headers = event.headers().get_all(IDEMPOTENCY_KEY).iter();
    let Some(header) = headers.next() else { return Ok(None) };
    if headers.next().is_some() {
        return Err(Invalid::field(IDEMPOTENCY_KEY, "is given twice: give it once"));
    }
    let text = String::from_utf8_lossy(header.as_bytes()).into_owned();
    let key = IdempotencyKey::try_from(text).map_err(|refusal| Invalid::field(IDEMPOTENCY_KEY, refusal.0))?;
    Ok(Some(key))
}

/// One path parameter as the caller wrote it, for the log.
pub(crate) fn path_parameter<'a>(event: &'a lambda_http::Request, name: &str) -> Option<&'a str> {
    event.path_parameters_ref()?.first(name)
}

/// The body for the log; null if it is no JSON, or larger than what is read.
pub(crate) fn logged_body(event: &lambda_http::Request) -> Value {
    let bytes = Some(event.body().as_ref()).filter(|bytes| bytes.len() <= MAX_BODY_BYTES);
    bytes.and_then(|bytes| serde_json::from_slice(bytes).ok()).unwrap_or_default()
}

/// The ids of instances that the caller named in the path, or else in the body's `instance_ids`, for the log: as many as a request
/// may name. What is no id is none.
pub(crate) fn instance_ids(event: &lambda_http::Request, body: &Value) -> Vec<String> {
    let is_id = |id: &str| InstanceId::try_from(id.to_owned()).is_ok();
    if let Some(id) = path_parameter(event, "instance_id") {
        return if is_id(id) { vec![id.to_owned()] } else { Vec::new() };
    }
    let ids = body.get("instance_ids").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let mut ids: Vec<String> = ids.filter(|id| is_id(id)).take(MAX_INSTANCES).map(str::to_owned).collect();
    ids.dedup();
    ids
}

/// The tag values that the caller sent, in the body's `tags` and `name` and the query's `tag.<key>`. They are kept out of
/// the log.
pub(crate) fn tag_values(event: &lambda_http::Request, body: &Value) -> Vec<String> {
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

/// The query as JSON. A parameter that is given once is a string, and a repeated one is a list; `tag.a=1` becomes
/// `{"tag": {"a": "1"}}`.
fn query(event: &lambda_http::Request) -> Value {
    let mut query = Map::new();
    for (name, value) in event.query_string_parameters().iter() {
        match name.strip_prefix("tag.") {
            Some(key) => {
                // If `tag=` was given without a key, there is no object to add to. Such a query is refused anyway.
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

/// The signer of the request, as API Gateway names it.
pub(crate) fn identity(event: &lambda_http::Request) -> Identity {
    let Some(RequestContext::ApiGatewayV1(context)) = event.request_context_ref() else { return Identity::default() };
    let identity = &context.identity;
    Identity { id: identity.caller.clone(), arn: identity.user_arn.clone() }
}

/// The body as JSON. An EventBridge event arrives as a body too, but is no caller's input.
fn body(event: &lambda_http::Request) -> Result<Result<Value, Invalid>, Error> {
    let bytes = if is_scheduled(event) { &[] } else { event.body().as_ref() };
    if bytes.len() > MAX_BODY_BYTES {
        let detail = format!("The body has {} bytes: send at most {MAX_BODY_BYTES} bytes", bytes.len());
        return Err(Error::new(Code::PayloadTooLarge, detail));
    }
    if bytes.is_empty() {
        return Ok(Ok(Map::new().into()));
    }
    Ok(json::read(bytes))
}

/// Whether the event is no HTTP request, but EventBridge's schedule or a direct invocation.
pub(crate) fn is_scheduled(event: &lambda_http::Request) -> bool {
    matches!(event.request_context_ref(), Some(RequestContext::PassThrough))
}

#[cfg(test)]
mod tests;
