//! Events and answers of API Gateway, EventBridge and the Lambda runtime. Nothing here knows EC2.

pub mod events;
mod json;
mod log;
#[cfg(feature = "openapi")]
pub mod openapi;
pub mod request;
pub(crate) mod response;
pub mod serve;
