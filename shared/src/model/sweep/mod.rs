//! What the sweep knows of a worker, what the deployment wants, and what follows from both: values and one pure function.

pub mod allowance;
pub mod change;
pub mod decision;
pub mod facts;
pub(crate) mod finding;
pub mod mark;
pub mod rules;

/// The tag that the owner of a worker writes as a sign of life: RFC 3339, such as `2026-11-27T10:00:00Z`.
pub const HEARTBEAT_KEY: &str = "cml:heartbeat";

/// The tag that keeps a worker from being marked, stopped and terminated by the sweep, whatever its value is.
pub const KEEP_KEY: &str = "cml:keep";

/// The tag by which the sweep announces that it will stop or terminate a worker.
pub const MARK_KEY: &str = "cml:mark";

/// The tag that says when the sweep last stopped or terminated a worker, and why.
pub const ACTED_KEY: &str = "cml:acted";

/// The tag with what the sweep last published about a worker.
pub const SEEN_KEY: &str = "cml:seen";

/// Who the sweep is, where an event says who asked for a change.
pub(crate) const SWEEP: &str = "sweep-workers";

/// The tag keys that only the sweep writes.
pub const SWEEP_KEYS: [&str; 3] = [MARK_KEY, ACTED_KEY, SEEN_KEY];

#[cfg(test)]
mod tests;
