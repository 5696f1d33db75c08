//! The local AWS, and what the integration tests need around it.
pub mod client;
pub mod fleet;
pub mod generate;
pub mod iam;
pub mod openapi;
pub mod replay;
pub mod simulation;
pub mod soak;
pub mod stack;
pub mod stories;
pub mod stub;
