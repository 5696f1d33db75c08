//! Events and answers of API Gateway, EventBridge and the Lambda runtime. Nothing here knows EC2.

mod audit;
mod emf;
pub mod events;
mod invocation;
mod json;
mod log;
mod metrics;
#[cfg(feature = "openapi")]
pub mod openapi;
pub mod request;
pub(crate) mod response;
pub mod serve;
mod subscriber;
