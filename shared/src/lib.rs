//! Managing Cisco Modeling Labs workers on EC2: everything the 13 Lambda functions share.
//!
//! Data flows one way: an event becomes a typed [`Request`] or a 400 ([`http`]), an operation ([`ops`]) turns its
//! inputs into a document or an [`Error`], and [`http`] turns either into the response. [`serve()`] is that loop.
//!
//! | module | what it knows |
//! |---|---|
//! | [`serve`](mod@serve) | the Lambda runtime: init, one request after the other, the one place where failures are logged |
//! | `deadline` | the time that one invocation has, and who keeps how much of it back |
//! | [`http`] | API Gateway: the only module that knows paths, queries, bodies and status codes |
//! | [`input`] | reading fields so that a refusal names all bad ones at once |
//! | [`config`] | the environment variables, once, typed |
//! | [`clients`] | the AWS clients, one set per allowed region |
//! | [`error`] | the one error type and the table from AWS error codes to it |
//! | [`instance`], [`image`], [`tags`], [`status`], [`utilization`], [`region`], [`mutation`] | the nouns: validated inputs and output documents |
//! | [`launch`], [`volume`], [`nesting`] | what a launch may ask for |
//! | [`parameter`] | images that are named by a parameter of Systems Manager |
//! | [`idempotency`] | requests that may be sent again |
//! | [`lifecycle`] | what start, stop and terminate have in common: one instance or many, already there, dry runs |
//! | `batch` | one call of EC2 for many instances, although EC2 takes all of them or none |
//! | [`wait`] | waiting for an instance to get where it is sent |
//! | `whole` | whether EC2's answer is whole |
//! | `retries` | what the SDK sends again, beyond its own rules |
//! | `doubt` | whether a call that failed may have been carried out by an earlier try |
//! | [`page`] | page tokens |
//! | `schema` | what `openapi.yaml` says of types for which no derive can say it |
//! | [`fields`] | `fields=`: reading less of an instance |
//! | [`permissions`] | the permission self-test |
//! | [`ops`] | the 13 operations, a file each |

mod batch;
pub mod clients;
pub mod config;
mod deadline;
pub mod deployment;
mod doubt;
pub mod error;
pub mod fields;
pub mod http;
pub mod idempotency;
pub mod image;
pub mod input;
pub mod instance;
mod json;
pub mod launch;
pub mod lifecycle;
pub mod limits;
pub mod mutation;
pub mod nesting;
pub mod ops;
pub mod page;
pub mod parameter;
pub mod permissions;
pub mod region;
mod retries;
#[cfg(feature = "openapi")]
pub mod schema;
pub mod serve;
pub mod status;
pub mod tags;
pub mod utilization;
mod variables;
pub mod volume;
pub mod wait;
mod whole;

#[cfg(test)]
mod proptests;
#[cfg(test)]
mod testing;

pub use clients::Clients;
pub use error::Error;
pub use http::Request;
pub use serve::serve;
