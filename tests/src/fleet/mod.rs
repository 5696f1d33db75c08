//! `make scale`: a fleet of workers under load for an hour, in the simulated AWS with AWS's limits. What is throttled, how full
//! are the buckets, how long does a sweep take, and what do the callers see?
//!
//! Lambda has an environment for each invocation that is under way, API Gateway the template's limits, and the callers send
//! again as the client for Python does.

#![expect(clippy::indexing_slicing, reason = "a simulation stops at a surprise")]

mod cloud;
mod day;
mod report;
mod scene;
#[cfg(test)]
mod tests;
mod verdict;

pub use day::happen;
pub use report::Outcome;
pub use scene::Scene;
