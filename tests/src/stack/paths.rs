//! Where things are.

use std::fs;
use std::path::PathBuf;

pub use bench::repository;

use super::Result;

/// `target/local`, which holds all that is made here.
///
/// # Errors
/// It cannot be made.
pub fn local_folder() -> Result<PathBuf> {
    let folder = repository().join("target/local");
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// A program of `.venv`.
///
/// # Errors
/// It is not there.
pub fn tool(name: &str) -> Result<PathBuf> {
    let path = repository().join(".venv/bin").join(name);
    if path.exists() {
        Ok(path)
    } else {
        Err(format!("{} is missing: run `make .venv/installed`", path.display()).into())
    }
}
