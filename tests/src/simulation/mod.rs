//! Deterministic simulation: the functions' own code, the SDK's own retries, signing and parsing, against an AWS in process, on
//! virtual time. One seed is one history.

#![expect(clippy::indexing_slicing, reason = "a simulation stops at a surprise")]

mod aws;
mod clock;
mod ec2;
mod history;
mod invariants;
mod kind;
mod limits;
mod metrics;
mod operation;
mod program;
mod report;
#[cfg(test)]
mod rounds;
#[cfg(test)]
mod tests;
mod wire;

pub use aws::Aws;
pub use clock::Clock;
pub use ec2::{Instance, Life};
pub use history::{clients_with, common, happen, settings_of};
pub use kind::{KINDEST, Kind};
pub use limits::{Bucket, Buckets, DOCUMENTED, Limits};
pub use metrics::{DELAY, PERIOD, average};
pub use operation::Request;
pub use program::{CALLERS, Program};
pub use report::{Report, digest};
