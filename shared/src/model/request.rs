//! The input of an operation: a request whose fields were checked.

use serde_json::Value;

use crate::input::Nothing;
use crate::model::idempotency_key::IdempotencyKey;

/// A request whose fields were checked. `Path`, `Query` and `Input` are the types of the route's path, query and body.
#[derive(Debug, Clone)]
pub struct Request<Path = Nothing, Query = Nothing, Input = Nothing> {
    /// The path parameters.
    pub path: Path,
    /// The query parameters.
    pub query: Query,
    /// The body, a JSON object. A missing body counts as an empty object.
    pub body: Input,
    /// The header `Idempotency-Key`, if there is one.
    pub keyed: Option<Keyed>,
    /// Who signed the request; unknown outside API Gateway.
    pub identity: Identity,
}

/// What tells whether two requests with an `Idempotency-Key` are the same.
#[derive(Debug, Clone)]
pub struct Keyed {
    /// The key.
    pub key: IdempotencyKey,
    /// The body as it came.
    pub body: Value,
}

/// Who signed a request.
#[derive(Debug, Clone, Default)]
pub struct Identity {
    /// The id: `AIDA…` for a user, `account:name` for a federated user, `AROA…:session` for a role.
    pub id: Option<String>,
    /// The ARN of the user or the role's session.
    pub arn: Option<String>,
}
