//! Managing Cisco Modeling Labs workers on EC2: everything the 13 Lambda functions share.
//!
//! Data flows one way: an event becomes a typed [`Request`] or a 400 ([`api`]), an operation ([`ops`]) turns its inputs
//! into a document or an [`Error`], and [`api`] turns either into the response. [`serve()`] is that loop.
//!
//! ```text
//! api      events and answers: API Gateway, EventBridge, the Lambda runtime    knows no EC2
//! ops      the 13 operations, a file each
//! aws      clients, calls, and what their answers mean                         knows no HTTP
//! config   the environment variables, once, typed
//! model    what callers send and what they get: values and their parsing       no client, no `.await`
//! error    the one error, and what AWS's codes mean
//! input    one refusal that names every bad field
//! ```

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

pub use api::serve::serve;
pub use aws::clients::Clients;
pub use error::Error;
pub use model::request::Request;
