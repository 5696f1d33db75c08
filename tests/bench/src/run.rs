//! One process, measured from its start.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::ClientConfig;
use serde::Serialize;
use tokio::time::sleep;

use crate::authority::Authority;
use crate::aws::Aws;
use crate::bare::{self, wire};
use crate::figures::percentile;
use crate::process::Process;
use crate::runtime_api::{Noted, Progress, RuntimeApi};
use crate::settings::Settings;
use crate::variant::{Program, Variant};
use crate::{Result, repository};

/// How long a process may take for what it is waited for.
const STUCK: Duration = Duration::from_secs(120);
/// How often it is looked whether the process still runs.
const LOOK: Duration = Duration::from_millis(100);
/// The folder of the copies of the binaries.
const COPIES: &str = "binaries";

/// The figures of one process. Times are in milliseconds, memory in megabytes.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Sample {
    /// From the start of the process to its first request for an event.
    pub init_ms: f64,
    /// From the start of the process to its first answer: what the caller waits for after a cold start.
    pub first_answer_ms: f64,
    /// From the first event to the first answer.
    pub first_invocation_ms: f64,
    /// From a later event to its answer: half of the calls take no longer.
    pub warm_p50_ms: f64,
    /// The same for 99 of 100 calls.
    pub warm_p99_ms: f64,
    /// CPU time up to the first answer, user and system.
    pub cold_cpu_ms: f64,
    /// CPU time of a warm call.
    pub warm_cpu_ms: f64,
    /// The most memory that the process had at a time.
    pub peak_mb: f64,
    /// AWS calls until the first answer.
    pub cold_calls: usize,
    /// AWS calls of a warm call.
    pub warm_calls: usize,
    /// The same calls without an SDK on an open connection, one after the other.
    pub bare_ms: Option<f64>,
    /// A new connection and one call on it, without an SDK.
    pub bare_connect_ms: Option<f64>,
    /// The key exchange of the process's connection.
    pub key_exchange: Option<&'static str>,
}

impl Sample {
    /// What a warm call takes beyond what the wire takes.
    #[must_use]
    pub fn overhead_ms(&self) -> Option<f64> {
        Some(self.warm_p50_ms - self.bare_ms?)
    }
}

/// What every process of a run needs.
#[derive(Clone, Debug)]
pub struct Bench {
    /// How the run is made.
    pub settings: Settings,
    /// The certificates of AWS's side.
    pub authority: Authority,
    bare: Arc<ClientConfig>,
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

/// Makes an empty folder for the copies, so that none is left of an earlier run.
fn remove_copies(folder: &Path) -> Result<()> {
    let copies = folder.join(COPIES);
    if copies.exists() {
        std::fs::remove_dir_all(&copies)?;
    }
    Ok(std::fs::create_dir(&copies)?)
}

impl Bench {
    /// Makes the certificates.
    ///
    /// # Errors
    /// The folder of the run cannot be written.
    pub fn new(settings: Settings) -> Result<Self> {
        std::fs::create_dir_all(&settings.folder)?;
        remove_copies(&settings.folder)?;
        let authority = Authority::create(&settings.folder)?;
        let bare = bare::tls(authority.root.clone())?;
        Ok(Self { settings, authority, bare })
    }

    /// Starts the process of a variant and measures it.
    ///
    /// # Errors
    /// It does not start, ends, hangs, or gives an answer that is no success.
    pub async fn measure(&self, variant: &Variant) -> Result<Sample> {
        let mut running = self.start(variant, &[], 1)?;
        let measured = self.figures(&mut running, variant).await;
        measured.map_err(|error| format!("{}: {error}", variant.name).into())
    }

    async fn figures(&self, running: &mut Running, variant: &Variant) -> Result<Sample> {
        let warm = variant.warm_calls(self.settings.warm);
        running.until_answered(1).await?;
        let (cold_cpu, cold_calls) = (running.process.cpu()?, running.aws.calls());
        running.answer(warm).await?;
        running.aws.keep();
        running.answer(warm + 1).await?;
        let (cpu, peak, noted) = (running.process.cpu()?, running.process.peak_memory()?, running.api.noted()?);
        running.aws.check()?;
        let (kept, key_exchange) = (running.aws.kept(), running.aws.key_exchange());
        let wire = wire(&self.bare, running.aws.port(), &kept).await?;
        let times = Times::of(&noted, running.process.started())?;
        Ok(Sample {
            init_ms: times.init,
            first_answer_ms: times.first_answer,
            first_invocation_ms: times.first_answer - times.init,
            warm_p50_ms: percentile(&times.warm, 500).ok_or("no warm call")?,
            warm_p99_ms: percentile(&times.warm, 990).ok_or("no warm call")?,
            cold_cpu_ms: ms(cold_cpu),
            warm_cpu_ms: ms(cpu.saturating_sub(cold_cpu)) / count(warm),
            peak_mb: megabytes(peak),
            cold_calls,
            warm_calls: kept.len(),
            bare_ms: wire.map(|wire| ms(wire.calls)),
            bare_connect_ms: wire.map(|wire| ms(wire.connect)),
            key_exchange,
        })
    }

    /// Starts the process of a variant, by way of the program `by` if that is not empty, and hands out so many events.
    ///
    /// # Errors
    /// It does not start.
    pub fn start(&self, variant: &Variant, by: &[OsString], events: usize) -> Result<Running> {
        let aws = Aws::start(&self.authority.tls, variant.answers(), self.settings.latency)?;
        let api = RuntimeApi::start(variant.event.clone(), events)?;
        let environment = self.environment(variant, &aws, &api);
        let command = [by, &self.command(variant)?].concat();
        let log = self.settings.folder.join(format!("{}.log", variant.name));
        let process = Process::start(&command, &self.working_directory(variant), &environment, log)?;
        Ok(Running { process, api, aws })
    }

    fn command(&self, variant: &Variant) -> Result<Vec<OsString>> {
        match variant.program {
            Program::Function => self.copy_of(&variant.operation),
            Program::Yardstick(name) => self.copy_of(name),
            Program::Python(module) => {
                let python = self.settings.python.clone().into_os_string();
                Ok(vec![python, "-m".into(), "awslambdaric".into(), format!("{module}.handler").into()])
            }
        }
    }

    /// A copy of a binary, made once in a run. A file that the linker has just written lies in the page cache page by page, and
    /// a process starts two to three times as fast from a copy of it.
    fn copy_of(&self, name: &str) -> Result<Vec<OsString>> {
        let (binary, copy) = (self.settings.binaries.join(name), self.settings.folder.join(COPIES).join(name));
        if !copy.exists() {
            std::fs::copy(&binary, &copy).map_err(|error| format!("{} cannot be read: {error}", binary.display()))?;
        }
        Ok(vec![copy.into_os_string()])
    }

    /// Python finds the modules of a function in the working directory.
    fn working_directory(&self, variant: &Variant) -> PathBuf {
        match variant.program {
            Program::Python(_) => repository().join("tests/bench/python"),
            _ => self.settings.folder.clone(),
        }
    }

    /// What Lambda and `template.yaml` set, and where AWS is.
    fn environment(&self, variant: &Variant, aws: &Aws, api: &RuntimeApi) -> Vec<(String, String)> {
        let ours = variant.program == Program::Function;
        let roots = if ours { &self.authority.roots } else { &self.authority.system_roots };
        let roots = roots.display().to_string();
        let variables = LAMBDA.iter().chain(ours.then_some(TEMPLATE).into_iter().flatten());
        let variables = variables.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let more = [
            ("AWS_LAMBDA_FUNCTION_NAME", variant.operation.clone()),
            ("AWS_LAMBDA_RUNTIME_API", api.address()),
            ("AWS_ENDPOINT_URL", aws.endpoint()),
            ("AWS_CA_BUNDLE", roots.clone()),
            ("SSL_CERT_FILE", roots),
        ];
        variables.chain(more.map(|(name, value)| (name.to_owned(), value))).collect()
    }
}

/// What Lambda sets in every function with JSON logs, with keys as its role has them.
const LAMBDA: &[(&str, &str)] = &[
    ("PATH", "/usr/local/bin:/usr/bin:/bin"),
    ("LANG", "en_US.UTF-8"),
    ("TZ", ":UTC"),
    ("AWS_REGION", "us-east-1"),
    ("AWS_DEFAULT_REGION", "us-east-1"),
    ("AWS_ACCESS_KEY_ID", "ASIAIOSFODNN7EXAMPLE"),
    ("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
    ("AWS_SESSION_TOKEN", SESSION_TOKEN),
    ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
    ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
    ("AWS_LAMBDA_LOG_FORMAT", "JSON"),
    ("AWS_LAMBDA_LOG_LEVEL", "INFO"),
    ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
    ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/bench"),
    ("AWS_LAMBDA_LOG_STREAM_NAME", "2026/01/01/[$LATEST]bench"),
    ("LAMBDA_TASK_ROOT", "/var/task"),
    ("PYTHONDONTWRITEBYTECODE", "1"),
];

/// A token as long as those of Lambda's roles about are.
const SESSION_TOKEN: &str = concat!(
    "IQoJb3JpZ2luX2VjEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLE",
    "EXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLE",
    "EXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLE",
    "EXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLE",
);

/// What `template.yaml` sets in every function if its parameters have their defaults.
const TEMPLATE: &[(&str, &str)] = &[
    ("CML_MANAGED_BY", "cml-cloud-manager"),
    ("CML_ALLOWED_REGIONS", "us-east-1"),
    ("CML_IMAGE_OWNERS", "self"),
    ("CML_WORKER_ROLE_ARN", "arn:aws:iam::123456789012:role/CMLWorkerRole"),
    ("CML_METRICS_NAMESPACE", "CML/cml-worker"),
];

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

/// What was noted, in milliseconds.
struct Times {
    init: f64,
    first_answer: f64,
    warm: Vec<f64>,
}

impl Times {
    fn of(noted: &Noted, started: Instant) -> Result<Self> {
        let since = |moment: &Instant| ms(moment.duration_since(started));
        let first = noted.answered.first().ok_or("no answer")?;
        let pairs = noted.handed.iter().zip(&noted.answered).skip(1);
        Ok(Self {
            init: since(noted.ready.as_ref().ok_or("no request for an event")?),
            first_answer: since(first),
            warm: pairs.map(|(handed, answered)| ms(answered.duration_since(*handed))).collect(),
        })
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

/// A duration in milliseconds.
#[must_use]
pub fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// Bytes in megabytes.
#[expect(clippy::cast_precision_loss, reason = "a process has less than 2^52 bytes")]
#[must_use]
pub fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

#[expect(clippy::cast_precision_loss, reason = "a number of calls")]
fn count(calls: usize) -> f64 {
    calls as f64
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

    #[test]
    fn times_are_from_the_start_and_from_each_event() {
        let start = Instant::now();
        let at = |ms: u64| start + Duration::from_millis(ms);
        let mut noted = Noted {
            ready: Some(at(3)),
            handed: vec![at(3), at(10)],
            answered: vec![at(7), at(15)],
            ..Noted::default()
        };
        let times = Times::of(&noted, start).unwrap();
        assert_eq!((times.init, times.first_answer, times.warm), (3.0, 7.0, vec![5.0]));
        noted.answered.clear();
        assert!(Times::of(&noted, start).is_err());
    }
}
