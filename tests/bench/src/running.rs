//! A process between its two servers.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::Result;
use crate::aws::Aws;
use crate::process::Process;
use crate::runtime_api::{Progress, RuntimeApi};

/// How long a process may take for what it is waited for.
const STUCK: Duration = Duration::from_secs(120);
/// How often it is looked whether the process still runs.
const LOOK: Duration = Duration::from_millis(100);

/// Two servers whose process is not started yet.
#[derive(Debug)]
pub struct Ready {
    /// AWS's side.
    pub aws: Aws,
    /// Lambda's side.
    pub api: RuntimeApi,
    /// The program with its arguments.
    pub command: Vec<OsString>,
    /// The working directory.
    pub folder: PathBuf,
    /// The environment variables.
    pub environment: Vec<(String, String)>,
    /// The file that takes what the process prints.
    pub log: PathBuf,
}

impl Ready {
    /// Starts the process, by way of the program `by` if that is not empty, and hands out so many events.
    ///
    /// # Errors
    /// It does not start.
    pub fn start(self, by: &[OsString], events: usize) -> Result<Running> {
        let Self { aws, api, command, folder, environment, log } = self;
        api.allow(events);
        let process = Process::start(&[by, &command].concat(), &folder, &environment, log)?;
        Ok(Running { process, api, aws })
    }
}

/// A process between its two servers.
#[derive(Debug)]
pub struct Running {
    /// The process.
    pub process: Process,
    /// Lambda's side.
    pub api: RuntimeApi,
    /// AWS's side.
    pub aws: Aws,
}

impl Running {
    /// Hands out events until so many are answered.
    ///
    /// # Errors
    /// Those of [`Running::until_answered`].
    pub async fn answer(&mut self, events: usize) -> Result<()> {
        self.api.allow(events);
        self.until_answered(events).await
    }

    /// Waits until so many events are answered.
    ///
    /// # Errors
    /// The process ended, hangs, reported an error, or gave an answer that is no success.
    pub async fn until_answered(&mut self, events: usize) -> Result<()> {
        self.until(|progress| progress.answered >= events).await?;
        // It says more than the answer to a call that failed.
        self.aws.check()?;
        check_answer(self.api.noted()?.first.as_deref().unwrap_or_default())
    }

    /// Waits until the process is so far.
    ///
    /// # Errors
    /// The process ended, or hangs.
    pub async fn until(&mut self, is_so_far: impl Fn(&Progress) -> bool) -> Result<()> {
        let Self { process, api, .. } = self;
        let begin = Instant::now();
        let mut reached = std::pin::pin!(api.until(|progress| is_so_far(progress)));
        loop {
            tokio::select! {
                biased;
                () = &mut reached => return Ok(()),
                () = sleep(LOOK) => process.check()?,
            }
            if begin.elapsed() > STUCK {
                return Err(format!("no answer in {} s: {}", STUCK.as_secs(), process.last_lines()).into());
            }
        }
    }
}

/// Whether the answer is a success: an API's answer has a status, and a sweep's report lists what failed.
fn check_answer(answer: &[u8]) -> Result<()> {
    let document: serde_json::Value = serde_json::from_slice(answer).unwrap_or_default();
    let status = document.get("statusCode").and_then(serde_json::Value::as_u64);
    let reports_nothing = |failures: &serde_json::Value| failures.as_array().is_some_and(Vec::is_empty);
    let report = document.pointer("/regions/0/failures");
    if status.is_some_and(|status| (200..300).contains(&status)) || report.is_some_and(reports_nothing) {
        return Ok(());
    }
    Err(format!("the answer is no success: {}", String::from_utf8_lossy(answer)).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_success_is_measured() {
        for good in [r#"{"statusCode":200,"body":""}"#, r#"{"statusCode":201}"#, r#"{"regions":[{"failures":[]}]}"#] {
            check_answer(good.as_bytes()).unwrap();
        }
        let bad = [
            "",
            "{}",
            r#"{"statusCode":404}"#,
            r#"{"statusCode":502}"#,
            r#"{"regions":[{"failures":[{"code":"x"}]}]}"#,
        ];
        for bad in bad {
            let error = check_answer(bad.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(bad), "{error}");
        }
    }
}
