//! Deterministic simulation: the functions' own code, the SDK's own retries, signing and parsing, against an EC2 in process, on
//! virtual time. One seed is one history.

#![expect(clippy::indexing_slicing, reason = "a simulation stops at a surprise")]

mod aws;
mod clock;
mod history;
mod report;
#[cfg(test)]
mod tests;
mod wire;

pub use aws::{Aws, FAULTS, Fault, Kind};
pub use history::{Call, Launch, Outcome, Program, common, happen};
pub use report::{Report, shrunk};
