//! The local AWS, and what the integration tests need around it.
