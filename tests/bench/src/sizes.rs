//! How large the binaries are, and the packages that are made of them.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde::{Deserialize, Serialize};

use crate::{Result, repository};

/// The size of a function, in bytes.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct Size {
    /// Of its binary.
    pub binary: u64,
    /// Of its package, as `aws cloudformation package` makes it.
    pub zip: u64,
}

/// The sizes by name.
pub type Sizes = BTreeMap<String, Size>;

/// Asks `tests/local/sizes.py`, which `make test` asks too.
///
/// # Errors
/// There is no Python, or it finds no binaries.
pub fn sizes(python: &Path, binaries: &[impl AsRef<Path>]) -> Result<Sizes> {
    let mut command = Command::new(python);
    command.arg("-B").arg(repository().join("tests/local/sizes.py")).arg("--json");
    command.args(binaries.iter().map(AsRef::as_ref));
    let output = command.output().map_err(|error| format!("{}: {error}", python.display()))?;
    if !output.status.success() {
        return Err(format!("tests/local/sizes.py: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}
