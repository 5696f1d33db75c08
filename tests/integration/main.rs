//! The deployed functions, called through the signed API of a local AWS; then EC2 is asked what happened.
//!
//! Tests run in parallel against the stacks of [`world`] and keep to instances of their own.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests stop at a surprise"
)]

mod batch;
mod benching;
mod bootstrap;
mod callers;
mod client;
mod create;
mod denied;
mod deployment;
mod events;
mod faults;
mod functions;
mod fuzzing;
mod health;
mod images;
mod launch_options;
mod layers;
mod lifecycle;
mod limits;
mod listing;
mod measuring;
mod names;
mod observing;
mod pages;
mod parameters;
mod permissions;
mod policies;
mod proofs;
mod reading;
mod run;
mod second_stack;
mod secrets;
mod self_test;
mod sequences;
mod smoke;
mod soaking;
mod sweep_deployment;
mod sweeping;
mod tagging;
mod undeploy;
mod upgrade;
mod waiting;
mod world;
