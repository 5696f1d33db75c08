//! The AWS CLI, as a user of the deployment runs it.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::Value;

use super::program::{Program, Surroundings};
use super::{REGION, ROOT_ACCESS_KEY_ID, ROOT_SECRET_ACCESS_KEY, Result, repository, tool};

/// How long one command may take: a deployment of development builds on a busy machine.
const BOUND: Duration = Duration::from_secs(300);

/// The AWS CLI with root's keys against one MiniStack.
#[derive(Debug)]
pub struct Cli {
    folder: PathBuf,
    endpoint: String,
    calls: AtomicU32,
}

impl Cli {
    /// The CLI for the MiniStack at `endpoint`, working in `folder`.
    pub fn new(folder: PathBuf, endpoint: String) -> Self {
        Self { folder, endpoint, calls: AtomicU32::new(0) }
    }

    /// Runs `aws`, with the words of `command` and then `arguments` as they are, and gives what it printed.
    ///
    /// # Errors
    /// It failed: the end of what it said.
    pub async fn run(&self, command: &str, arguments: &[&str]) -> Result<String> {
        let words: Vec<_> = command.split_whitespace().chain(arguments.iter().copied()).collect();
        self.script("aws.py", &words).await
    }

    /// Runs a script of `tests/local`, likewise.
    ///
    /// # Errors
    /// It failed: the end of what it said.
    pub async fn script(&self, file: &str, arguments: &[&str]) -> Result<String> {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        // The name of its files: a policy is no part of it.
        let is_word = |text: &&&str| text.chars().all(|one| one.is_ascii_alphanumeric() || one == '-');
        let beginning = arguments.iter().take(2).filter(is_word).copied().collect::<Vec<_>>().join("-");
        let name = format!("{file}-{call}-{beginning}");
        let script = repository().join("tests/local").join(file).display().to_string();
        let python = tool("python")?.display().to_string();
        let command = [&[python.as_str(), &script], arguments].concat();
        let environment = [
            ("AWS_ACCESS_KEY_ID", ROOT_ACCESS_KEY_ID),
            ("AWS_SECRET_ACCESS_KEY", ROOT_SECRET_ACCESS_KEY),
            ("AWS_DEFAULT_OUTPUT", "json"),
            ("AWS_DEFAULT_REGION", REGION),
            ("AWS_ENDPOINT_URL", &self.endpoint),
            ("AWS_PAGER", ""),
        ];
        let mut program = Program::start(&self.folder, &name, &command, Surroundings::Own, &environment).await?;
        program.finish(BOUND).await?;
        Ok(program.output())
    }

    /// [`Cli::run`] for commands that print JSON.
    ///
    /// # Errors
    /// Those of [`Cli::run`], and output that is not JSON.
    pub async fn json(&self, command: &str, arguments: &[&str]) -> Result<Value> {
        Ok(serde_json::from_str(&self.run(command, arguments).await?)?)
    }
}
