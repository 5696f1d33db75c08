//! `make bench`: what each function costs its callers, beside yardsticks that were measured in the same run.
//!
//! A round starts every function and every yardstick once, as a process of its own between two servers on threads of their
//! own: a Runtime API (`runtime_api`) that stands for Lambda, and a TLS server (`aws`) that stands for EC2, CloudWatch and
//! EventBridge. `run` measures one process, `rounds` repeats that, and `report` writes the tables.

pub mod authority;
pub mod aws;
pub mod bare;
pub mod environment;
pub mod figures;
pub mod guard;
pub mod machine;
pub mod process;
pub mod report;
pub mod rounds;
pub mod run;
pub mod running;
pub mod runtime_api;
pub mod sample;
pub mod server;
pub mod settings;
pub mod sizes;
pub mod sustained;
pub mod variant;

use std::error::Error;
use std::path::Path;

/// What can go wrong here is only told, never told apart.
pub type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// The root of the repository.
#[must_use]
pub fn repository() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here)
}
