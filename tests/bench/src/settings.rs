//! What the environment says about a run.

use std::env;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use crate::{Result, repository};

/// How a run is made.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `ROUNDS`: how often each row is measured.
    pub rounds: usize,
    /// `WARM`: how often each process is called warm.
    pub warm: usize,
    /// `LATENCY_MS`: how long AWS takes for each answer.
    pub latency: Duration,
    /// `OPERATIONS`: the operations that are measured; all if it is empty.
    pub operations: Vec<String>,
    /// `BINARIES`: the folder with the functions and the yardsticks.
    pub binaries: PathBuf,
    /// `BENCH_PYTHON`: the interpreter that has boto3 and awslambdaric.
    pub python: PathBuf,
    /// `target/bench`: certificates, logs and results.
    pub folder: PathBuf,
}

impl Settings {
    /// Reads the environment.
    ///
    /// # Errors
    /// A value that is no number, or no round.
    pub fn from_env() -> Result<Self> {
        let operations = text("OPERATIONS").unwrap_or_default();
        let rounds = number("ROUNDS", 15)?;
        if rounds == 0 {
            return Err("ROUNDS is 0: nothing would be measured".into());
        }
        Ok(Self {
            rounds,
            warm: number("WARM", 200)?,
            latency: Duration::from_millis(number("LATENCY_MS", 0)?),
            operations: operations.split([',', ' ']).filter(|name| !name.is_empty()).map(str::to_owned).collect(),
            binaries: path("BINARIES", &release()),
            python: path("BENCH_PYTHON", ".venv/bin/python"),
            folder: path("BENCH_FOLDER", "target/bench"),
        })
    }
}

/// The number in a variable; `otherwise` if it is empty or not given.
///
/// # Errors
/// It is no number.
pub fn number<T: FromStr>(name: &str, otherwise: T) -> Result<T> {
    let Some(text) = text(name) else { return Ok(otherwise) };
    text.parse().map_err(|_| format!("{name} is {text:?} but must be a whole number").into())
}

/// Where `make build` puts the binaries, in the repository.
#[must_use]
pub fn release() -> String {
    format!("target/{}-unknown-linux-gnu/release", env::consts::ARCH)
}

fn path(name: &str, otherwise: &str) -> PathBuf {
    repository().join(text(name).unwrap_or_else(|| otherwise.to_owned()))
}

/// A variable that is given and not empty.
#[must_use]
pub fn text(name: &str) -> Option<String> {
    env::var(name).ok().filter(|text| !text.is_empty())
}
