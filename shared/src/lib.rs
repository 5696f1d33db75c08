//! Manages Cisco Modeling Labs workers on EC2: the code that all Lambda functions share.
//!
//! # The map
//!
//! This crate is a house with seven floors, and a floor uses only those below it:
//!
//! | floor | what is there |
//! |---|---|
//! | [`api`] | events and answers: API Gateway, EventBridge, the Lambda runtime. It knows no EC2. |
//! | [`ops`] | the operations, a file each. They know no HTTP. |
//! | [`aws`] | clients, calls, and what AWS's answers mean. It knows no caller. |
//! | [`config`] | the environment variables, read once into types |
//! | [`model`] | what callers send and what they get: values and their parsing, without a client or `.await` |
//! | [`error`] | the one error type, and the problem document that callers read |
//! | [`input`] | one refusal that names every bad field |
//!
//! Around it stand
//!
//! - `functions/`: one crate per operation, which is no more than a `main`, such as
//!   [`start_instance`](../start_instance/index.html);
//! - `tests/`: the crate [`tests`](../tests/index.html) has the local AWS, the simulated AWS, and the programs behind the
//!   commands of the Makefile, such as [`local`](../local/index.html) behind `make run`; `tests/integration/` has the integration
//!   tests;
//! - `openapi.yaml`: [the API](../api.html) for machines, written from the operations' rows and types;
//! - `template.yaml`: the deployment, [drawn below](#the-deployment).
//!
//! # One call on its way
//!
//! `POST /regions/us-east-1/instances/i-0123456789abcdef0/start` arrives at the function `start-instance`. This is all of it:
//!
//! ```rust,ignore
#![cfg_attr(doc, doc = include_str!("../../functions/start-instance/src/main.rs"))]
//! ```
//!
//! 1. [`serve()`] makes the [`Clients`] from the environment, once, and hands each event to [`answer`](api::serve::answer).
//! 2. [`FromEvent::read`](api::request::FromEvent::read) turns the event into a [`Request`](model::request::Request). Each of its
//!    types parses its own part: [`TargetPath`](model::path::TargetPath) the path, [`WaitQuery`](model::wait::WaitQuery) the
//!    query, [`InstancesBody`](model::instance_ids::InstancesBody) the body. What does not parse ends up in one
//!    [`Invalid`](input::Invalid), which is the answer 400.
//! 3. [`handle`](ops::start_instance::handle) makes an [`Order`](ops::lifecycle::Order) of it, and
//!    [`start_instance`](ops::start_instance::start_instance()) has [`carry_out`](ops::lifecycle::carry_out) do what start, stop
//!    and terminate have in common.
//! 4. [`find_managed`](aws::instances::find_managed) reads the instance from EC2, and refuses one that does not exist (404) or is
//!    not managed (403). [`Change::step`](ops::lifecycle::Change::step) says what its state leaves to do: nothing, the call, or a
//!    refusal (409).
//! 5. [`Call::send`](aws::all_or_none::Call::send) sends `ec2:StartInstances` with the region's [client](Clients::ec2). EC2's
//!    answer becomes a [`StateChange`](model::state_change::StateChange); EC2's error code becomes an [`Error`](error::Error), by
//!    the table [`AWS_CODES`](aws::error_codes::AWS_CODES).
//! 6. Back in [`answer`](api::serve::answer), the result is logged and measured, and [`respond`](api::response::respond) writes
//!    it as HTTP: a [`Document`](model::document::Document) as JSON, an error as a [`Problem`](error::problem::Problem) with its
//!    [status and title](error::problem::status_and_title).
//!
//! # The deployment
//!
//! A dashed box is a policy, a role or an instance profile. A thin box is a service of AWS, or a rule that calls.
//!
//! ![The stack's functions, what calls them, what they use, and their roles](../architecture.svg)

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
