//! The calls of AWS: the clients, the settings of the SDK, and the meaning of AWS's answers. Nothing here knows the callers' HTTP.

pub(crate) mod all_or_none;
pub(crate) mod beside;
pub mod bus;
pub(crate) mod calls;
pub mod clients;
pub(crate) mod deadline;
pub(crate) mod doubt;
pub(crate) mod dry_run;
pub(crate) mod error_codes;
pub(crate) mod errors;
pub(crate) mod filters;
pub(crate) mod fleet;
mod http;
pub(crate) mod image_parameters;
pub(crate) mod images;
pub(crate) mod instances;
pub(crate) mod launches;
pub(crate) mod metrics;
pub(crate) mod needed_elements;
pub(crate) mod once_shown;
mod retries;
pub(crate) mod statuses;
pub(crate) mod watch;
mod whole_answer;
