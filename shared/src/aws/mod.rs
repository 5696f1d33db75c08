//! The calls: clients, what the SDK is told, and what each answer means. Knows no HTTP.

pub(crate) mod all_or_none;
pub mod clients;
pub(crate) mod deadline;
pub(crate) mod doubt;
mod retries;
mod whole_answer;
