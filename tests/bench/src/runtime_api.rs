//! Lambda's side: a Runtime API for one process, which notes when the process asks for an event and when it answers
//! (<https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use http_body_util::{BodyExt, Collected, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::HeaderValue;
use hyper::{Request, Response, StatusCode};
use tokio::sync::watch;

use crate::Result;
use crate::server::{Server, serve_http};

/// What an invocation has: the timeout of `template.yaml`.
const TIMEOUT: Duration = Duration::from_secs(27);

/// By how many of its first bytes an answer is told from another one: enough for the status of an API's answer.
const PREFIX: usize = 18;

/// The Runtime API of one process.
#[derive(Debug)]
pub struct RuntimeApi {
    server: Server,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    event: Bytes,
    noted: Mutex<Noted>,
    /// How many events may be handed out.
    allowed: watch::Sender<usize>,
    progress: watch::Sender<Progress>,
}

/// How far the process is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// How often it asked for an event.
    pub asked: usize,
    /// How many events it answered.
    pub answered: usize,
}

/// What was noted.
#[derive(Clone, Debug, Default)]
pub struct Noted {
    /// When the process first asked for an event: its init was over.
    pub ready: Option<Instant>,
    /// When each event was handed out.
    pub handed: Vec<Instant>,
    /// When each answer had come.
    pub answered: Vec<Instant>,
    /// The first answer.
    pub first: Option<Bytes>,
    /// An error of the process, or an answer that is unlike the first one.
    pub wrong: Option<String>,
}

impl Noted {
    /// From each event to its answer.
    pub fn took(&self) -> impl Iterator<Item = Duration> {
        self.handed.iter().zip(&self.answered).map(|(handed, answered)| answered.duration_since(*handed))
    }
}

impl RuntimeApi {
    /// Listens, to hand out one and the same event as often as it is allowed.
    ///
    /// # Errors
    /// There is no port, thread or runtime for it.
    pub fn start(event: Bytes) -> Result<Self> {
        let (allowed, progress) = (watch::Sender::default(), watch::Sender::default());
        let shared = Arc::new(Shared { event, noted: Mutex::default(), allowed, progress });
        let server = Server::start("runtime-api", {
            let shared = Arc::clone(&shared);
            move |connection| {
                let shared = Arc::clone(&shared);
                async move {
                    serve_http(connection, |request| serve(&shared, request)).await;
                }
            }
        })?;
        Ok(Self { server, shared })
    }

    /// For `AWS_LAMBDA_RUNTIME_API`.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.server.port())
    }

    /// Lets so many events be handed out in all.
    pub fn allow(&self, events: usize) {
        self.shared.allowed.send_replace(events);
    }

    /// Waits until the process is so far.
    pub async fn until(&self, is_so_far: impl FnMut(&Progress) -> bool) {
        // It ends with `self` only.
        let _ = self.shared.progress.subscribe().wait_for(is_so_far).await;
    }

    /// What was noted so far.
    ///
    /// # Errors
    /// The process reported an error, or its answers are not alike.
    pub fn noted(&self) -> Result<Noted> {
        let noted = self.shared.noted().clone();
        match noted.wrong {
            Some(wrong) => Err(wrong.into()),
            None => Ok(noted),
        }
    }
}

impl Shared {
    fn noted(&self) -> MutexGuard<'_, Noted> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn next(&self) -> Response<Full<Bytes>> {
        let now = Instant::now();
        self.noted().ready.get_or_insert(now);
        let mut number = 0;
        self.progress.send_modify(|progress| {
            number = progress.asked;
            progress.asked += 1;
        });
        // It ends with `self` only.
        let _ = self.allowed.subscribe().wait_for(|allowed| number < *allowed).await;
        let response = self.invocation(number);
        self.noted().handed.push(Instant::now());
        response
    }

    fn invocation(&self, number: usize) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::new(self.event.clone()));
        let deadline = SystemTime::now() + TIMEOUT;
        let deadline = deadline.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis();
        let headers = [
            // awslambdaric dies without it.
            ("content-type", "application/json".to_owned()),
            ("lambda-runtime-aws-request-id", format!("8476a536-e9f4-11e8-9739-{number:012}")),
            ("lambda-runtime-deadline-ms", deadline.to_string()),
            ("lambda-runtime-invoked-function-arn", "arn:aws:lambda:us-east-1:123456789012:function:bench".to_owned()),
            (
                "lambda-runtime-trace-id",
                "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=0".to_owned(),
            ),
        ];
        for (name, value) in headers {
            if let Ok(value) = HeaderValue::try_from(value) {
                response.headers_mut().insert(name, value);
            }
        }
        response
    }

    fn answered(&self, body: Bytes) {
        let now = Instant::now();
        let mut noted = self.noted();
        noted.answered.push(now);
        let first = noted.first.get_or_insert_with(|| body.clone());
        // Times and ages in it can have another digit.
        let is_as_long = first.len().abs_diff(body.len()) * 100 <= first.len();
        if first.get(..PREFIX) != body.get(..PREFIX) || !is_as_long {
            noted.wrong = Some(format!("an answer unlike the first one: {}", String::from_utf8_lossy(&body)));
        }
        drop(noted);
        self.progress.send_modify(|progress| progress.answered += 1);
    }

    fn failed(&self, body: &Bytes) {
        self.noted().wrong = Some(format!("the function's error: {}", String::from_utf8_lossy(body)));
        self.progress.send_modify(|progress| progress.answered = usize::MAX);
    }
}

async fn serve(shared: &Shared, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let path = request.uri().path().to_owned();
    if path.ends_with("/next") {
        return shared.next().await;
    }
    let body = request.into_body().collect().await.map(Collected::to_bytes).unwrap_or_default();
    if path.ends_with("/response") {
        shared.answered(body);
    } else {
        shared.failed(&body);
    }
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::ACCEPTED;
    response
}
