//! The nouns: values that callers send and documents that they get, with their parsing.

pub mod field_selection;
pub mod idempotency;
pub mod image;
pub mod image_parameter;
pub mod instance;
pub mod launch;
pub mod mutation;
pub mod nested_virtualization;
pub mod page_token;
pub mod region;
pub mod status;
pub mod tags;
pub mod utilization;
pub mod volume;
pub mod wait;
