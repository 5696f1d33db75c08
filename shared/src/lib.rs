//! Manages Cisco Modeling Labs workers on EC2: the code that all Lambda functions share.
//!
//! Data flows one way: [`api`] turns an event into a typed [`Request`](model::request::Request) or a 400, an operation ([`ops`]) turns its inputs
//! into a document or an [`Error`](error::Error), and [`api`] turns the document or the error into the response. [`serve()`] is this loop.
//!
//! ```text
//! api      events and answers: API Gateway, EventBridge, the Lambda runtime    knows no EC2
//! ops      the operations, a file each
//! aws      clients, calls, and what their answers mean                         knows no caller
//! config   the environment variables, read once into types
//! model    what callers send and what they get: values and their parsing       no client, no `.await`
//! error    the one error type, and the problem document that callers read
//! input    one refusal that names every bad field
//! ```

// `pub` is for what another crate uses.
#![warn(unreachable_pub)]

pub mod api;
pub mod aws;
pub mod config;
pub mod error;
pub mod input;
pub mod model;
pub mod ops;

#[cfg(test)]
mod proptests;
#[cfg(test)]
mod testing;

pub use api::events::serve_events;
pub use api::serve::serve;
pub use aws::clients::Clients;
