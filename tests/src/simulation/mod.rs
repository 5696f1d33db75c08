//! Deterministic simulation: the functions' own code, the SDK's own retries, signing and parsing, against an AWS in process, on
//! virtual time. One seed is one history.

#![expect(clippy::indexing_slicing, reason = "a simulation stops at a surprise")]

mod aws;
mod clock;
mod ec2;
mod history;
mod invariants;
mod kind;
mod operation;
mod program;
mod report;
#[cfg(test)]
mod tests;
mod wire;

pub use history::{common, happen};
pub use program::Program;
pub use report::{Report, digest};
