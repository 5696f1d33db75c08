//! What an operation is handed: a request whose fields were checked.

use serde_json::Value;

use crate::input::Nothing;
use crate::model::idempotency_key::IdempotencyKey;

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
    pub raw_body: Value,
    /// The header `Idempotency-Key`.
    pub idempotency_key: Option<IdempotencyKey>,
    /// Who signed the request; unknown outside API Gateway.
    pub identity: Identity,
}

/// Who signed a request.
#[derive(Debug, Clone, Default)]
pub struct Identity {
    /// `AIDA…` for a user, `account:name` for a federated one, `AROA…:session` for a role.
    pub id: Option<String>,
    /// The ARN of the same.
    pub arn: Option<String>,
}
