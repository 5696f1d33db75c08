//! Stories of workers: fourteen days of their lives in the simulated AWS, swept again and again by the function's own code.
//!
//! What happens is drawn from a seed: starts, loads, heartbeats that end, failing checks, people who change tags by hand, sweeps
//! that the schedule sends twice, calls that meet faults. Time skips what is without interest: around each fact there are some
//! sweeps, five minutes apart. A judge of its own looks at each stop and each termination.

#![expect(clippy::indexing_slicing, reason = "a story stops at a surprise")]

mod judge;
mod life;
mod report;
mod story;
#[cfg(test)]
mod tests;

pub use report::Report;
