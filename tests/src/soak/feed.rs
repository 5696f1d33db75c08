//! A Runtime API for one function: the next event as soon as the last one is answered. Four routes of
//! docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html; cargo-lambda's own takes a process of its own for each event, and
//! the benchmark's gives one and the same event, on a thread for itself.

use std::collections::BTreeMap;
use std::fs;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{Response, StatusCode};
use axum::routing::{get, post};
use bench::process::memory;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::time::sleep;

use crate::stack::{Result, repository};

/// What an invocation has: enough for a launch to begin, and so little that silence is cut off by it.
const TIMEOUT: Duration = Duration::from_secs(8);
/// How often it is looked how far the function is.
const LOOK: Duration = Duration::from_millis(250);
/// How long one invocation may take: more than the function's own budget.
const STUCK: Duration = Duration::from_secs(60);

/// The Runtime API of one function.
pub struct Feed {
    shared: Arc<Shared>,
    address: String,
}

/// What became of the invocations.
#[derive(Clone, Debug, Default)]
pub struct Done {
    pub statuses: BTreeMap<u16, usize>,
    pub failed: usize,
    pub early: u64,
    pub late: u64,
}

struct Shared {
    event: Value,
    invocations: usize,
    progress: Mutex<Progress>,
}

#[derive(Default)]
struct Progress {
    sent: usize,
    answered: usize,
    done: Done,
}

impl Feed {
    /// Listens, with variants of the operation's file in `events/`.
    ///
    /// # Errors
    /// There is no such file, or no port.
    pub async fn start(operation: &str, invocations: usize) -> Result<Self> {
        let event = fs::read_to_string(repository().join(format!("events/{operation}.json")))?;
        let event = serde_json::from_str(&event)?;
        let shared = Arc::new(Shared { event, invocations, progress: Mutex::default() });
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?.to_string();
        let invocation = "/2018-06-01/runtime/invocation";
        let router = Router::new()
            .route(&format!("{invocation}/next"), get(next))
            .route(&format!("{invocation}/{{id}}/response"), post(answered))
            .route(&format!("{invocation}/{{id}}/error"), post(failed))
            .route("/2018-06-01/runtime/init/error", post(failed))
            .layer(DefaultBodyLimit::disable())
            .with_state(Arc::clone(&shared));
        tokio::spawn(axum::serve(listener, router).into_future());
        Ok(Self { shared, address })
    }

    /// For `AWS_LAMBDA_RUNTIME_API`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Waits for the last answer, with a look at the process now and then, and measures its memory twice.
    ///
    /// # Errors
    /// `look` says so, or the function does not get on.
    pub async fn finish(&self, pid: u32, mut look: impl FnMut() -> Result<()>) -> Result<Done> {
        let (mut last, mut idle) = (0, Duration::ZERO);
        loop {
            look()?;
            let answered = self.progress().answered;
            if answered >= self.shared.invocations / 20 && self.progress().done.early == 0 {
                self.progress().done.early = memory(pid, "VmRSS:")? / 1024;
            }
            if answered >= self.shared.invocations {
                self.progress().done.late = memory(pid, "VmRSS:")? / 1024;
                return Ok(self.progress().done.clone());
            }
            idle = if answered == last { idle + LOOK } else { Duration::ZERO };
            if idle > STUCK {
                return Err(format!("no answer to invocation {answered} in {} s", STUCK.as_secs()).into());
            }
            last = answered;
            sleep(LOOK).await;
        }
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.shared.progress()
    }
}

impl Shared {
    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Mostly the event as it is; every so often one that is refused.
    fn event(&self, number: usize) -> Value {
        let mut event = self.event.clone();
        let bad = match number {
            number if number % 17 == 3 => Some(("/pathParameters/instance_id", "i-nonsense".to_owned())),
            number if number % 19 == 5 => Some(("/body", "{".to_owned())),
            number if number % 101 == 7 => Some(("/body", "x".repeat(70_000))),
            _ => None,
        };
        // An operation without the one or the other gets its event as it is.
        if let Some((place, text)) = bad
            && let Some(member) = event.pointer_mut(place)
        {
            *member = text.into();
        }
        event
    }
}

async fn next(State(shared): State<Arc<Shared>>) -> Response<String> {
    let number = {
        let mut progress = shared.progress();
        progress.sent += 1;
        progress.sent - 1
    };
    if number >= shared.invocations {
        // The last one was answered: the process waits until it is ended.
        std::future::pending::<()>().await;
    }
    let deadline = SystemTime::now() + TIMEOUT;
    let deadline = deadline.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis();
    let mut response = Response::new(shared.event(number).to_string());
    let headers = [
        ("lambda-runtime-aws-request-id", format!("request-{number}")),
        ("lambda-runtime-deadline-ms", deadline.to_string()),
        ("lambda-runtime-invoked-function-arn", "arn:aws:lambda:us-east-1:123456789012:function:soak".to_owned()),
    ];
    for (name, value) in headers {
        if let Ok(value) = value.parse() {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

async fn answered(State(shared): State<Arc<Shared>>, body: Bytes) -> StatusCode {
    let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
    let status = answer
        .get("statusCode")
        .and_then(Value::as_u64)
        .and_then(|status| u16::try_from(status).ok())
        .unwrap_or_default();
    let mut progress = shared.progress();
    progress.answered += 1;
    *progress.done.statuses.entry(status).or_default() += 1;
    StatusCode::ACCEPTED
}

async fn failed(State(shared): State<Arc<Shared>>) -> StatusCode {
    let mut progress = shared.progress();
    progress.answered += 1;
    progress.done.failed += 1;
    StatusCode::ACCEPTED
}
