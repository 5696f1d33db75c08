//! Events and answers: API Gateway, EventBridge and the Lambda runtime. Knows no EC2.

pub mod http;
mod json;
#[cfg(feature = "openapi")]
pub mod openapi;
pub mod serve;
