//! `openapi.yaml`: the API as an OpenAPI 3.1 document, from the types of `shared` and its table of operations.
//!
//! It is there to test with, and to make clients from; nothing serves it. `make generate` writes it.

use std::path::PathBuf;

use shared::model::operation::Operation;
use shared::ops::OPERATIONS;
use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::path::PathsBuilder;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    Components, InfoBuilder, License, OpenApi, OpenApiBuilder, PathItem, ServerBuilder, ServerVariableBuilder,
};

use crate::stack::{Result, repository};

mod answers;
mod calls;
mod conditions;
mod parameters;
mod schemas;

pub use answers::GATEWAY_CODES;

/// How to sign, in API Gateway's own words.
const SECURITY: &str = "sigv4";

/// The committed file.
#[must_use]
pub fn file() -> PathBuf {
    repository().join("openapi.yaml")
}

/// The document as it is committed.
///
/// # Errors
/// An operation is not described in `calls`.
pub fn yaml() -> Result<String> {
    all_described(&OPERATIONS)?;
    Ok(format!("# Written by `make generate` from the types in shared/; do not edit.\n{}", document().to_yaml()?))
}

/// Whether each route of these operations is described. The document would only lack one that is not, and nobody would notice
/// before the tests.
fn all_described(operations: &[Operation]) -> Result<()> {
    for operation in operations {
        let (described, routes) = (calls::calls(operation).len(), operation.routes.len());
        if described != routes {
            return Err(format!(
                "tests/src/openapi/calls.rs describes {described} of the {routes} routes of {}, so nothing is generated: add \
                 the operation to the function `calls` there",
                operation.name
            )
            .into());
        }
    }
    Ok(())
}

/// The document.
#[must_use]
pub fn document() -> OpenApi {
    let info = InfoBuilder::new()
        .title("CML worker management")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(format!(
            "Cisco Modeling Labs workers on EC2: {} operations behind a signed REST API.",
            OPERATIONS.len()
        )))
        .license(Some(License::new(env!("CARGO_PKG_LICENSE"))));
    let server = ServerBuilder::new()
        .url("https://{api_id}.execute-api.{region}.amazonaws.com/v1")
        .parameter("api_id", ServerVariableBuilder::new().default_value("abcdef1234"))
        .parameter("region", ServerVariableBuilder::new().default_value("us-east-1"));
    let mut paths = PathsBuilder::new();
    for (method, path, operation) in OPERATIONS.iter().flat_map(calls::routes) {
        paths = paths.path(path, PathItem::new(method, operation));
    }
    let mut components = Components::new();
    components.schemas = schemas::components();
    let codes: Vec<_> = OPERATIONS.iter().flat_map(calls::calls).flat_map(|call| call.codes).collect();
    components.responses = answers::refusals(&codes);
    components.add_security_scheme(SECURITY, sigv4());
    OpenApiBuilder::new()
        .info(info.build())
        .servers(Some([server.build()]))
        .paths(paths)
        .components(Some(components))
        .security(Some([SecurityRequirement::new(SECURITY, [""; 0])]))
        .build()
}

fn sigv4() -> SecurityScheme {
    let description = "AWS Signature Version 4 for the service execute-api, by callers with execute-api:Invoke";
    let mut header = ApiKeyValue::with_description("Authorization", description);
    header.extensions = Some(Extensions::from_iter([("x-amazon-apigateway-authtype", "awsSigv4")]));
    SecurityScheme::ApiKey(ApiKey::Header(header))
}

#[cfg(test)]
mod tests;
