//! AWS's side: a TLS server that answers each call with a body that was made before.

pub mod answers;
pub mod indented;
pub mod instance;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Request, Response, StatusCode};
use rustls::ServerConfig;
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;

use self::indented::indented;
use crate::Result;
use crate::server::{Server, serve_http};

/// The answer to an action.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The action in AWS's name, as in `RunInstances`.
    pub action: &'static str,
    /// If it answers only some calls of the action: a text that is in their body.
    pub only_with: Option<&'static str>,
    /// The answer's `Content-Type`.
    pub content_type: &'static str,
    /// The answer's `smithy-protocol`, if it has that header.
    pub protocol: Option<&'static str>,
    /// The answer.
    pub body: Bytes,
}

impl Reply {
    /// The same, indented as EC2 indents it.
    #[must_use]
    pub fn indented(self) -> Self {
        Self { body: indented(&String::from_utf8_lossy(&self.body)).into(), ..self }
    }
}

/// One request as it came.
#[derive(Clone, Debug)]
pub struct Call {
    /// Method, path and headers.
    pub head: Parts,
    /// The body.
    pub body: Bytes,
}

/// The running server.
#[derive(Debug)]
pub struct Aws {
    server: Server,
    shared: Arc<Shared>,
}

struct Shared {
    replies: Vec<Reply>,
    latency: Duration,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    connections: usize,
    calls: usize,
    kept: Option<Vec<Call>>,
    unknown: Option<String>,
    key_exchange: Option<&'static str>,
}

impl Aws {
    /// Listens, and answers with the first reply that is for a call, so long after the call.
    ///
    /// # Errors
    /// There is no port, thread or runtime for it.
    pub fn start(tls: &Arc<ServerConfig>, replies: Vec<Reply>, latency: Duration) -> Result<Self> {
        let shared = Arc::new(Shared { replies, latency, seen: Mutex::default() });
        let acceptor = TlsAcceptor::from(Arc::clone(tls));
        let server = Server::start("aws", {
            let shared = Arc::clone(&shared);
            move |connection| {
                let (acceptor, shared) = (acceptor.clone(), Arc::clone(&shared));
                async move {
                    // A client that gives up says so itself.
                    let Ok(connection) = acceptor.accept(connection).await else { return };
                    shared.note_connection(connection.get_ref().1);
                    serve_http(connection, |request| answer(&shared, request)).await;
                }
            }
        })?;
        Ok(Self { server, shared })
    }

    /// The URL for `AWS_ENDPOINT_URL`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("https://localhost:{}", self.server.port())
    }

    /// The port that it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.server.port()
    }

    /// How many connections were made so far.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.seen().connections
    }

    /// How many calls came so far.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.shared.seen().calls
    }

    /// Keeps the calls from now on.
    pub fn keep(&self) {
        self.shared.seen().kept = Some(Vec::new());
    }

    /// The calls that were kept.
    #[must_use]
    pub fn kept(&self) -> Vec<Call> {
        self.shared.seen().kept.take().unwrap_or_default()
    }

    /// The key exchange of the last connection.
    #[must_use]
    pub fn key_exchange(&self) -> Option<&'static str> {
        self.shared.seen().key_exchange
    }

    /// Whether every call had an answer.
    ///
    /// # Errors
    /// One had none: the call.
    pub fn check(&self) -> Result<()> {
        match &self.shared.seen().unknown {
            Some(call) => Err(format!("tests/bench/src/aws/answers.rs has no answer to {call}").into()),
            None => Ok(()),
        }
    }
}

impl Shared {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note_connection(&self, connection: &rustls::ServerConnection) {
        let group = connection.negotiated_key_exchange_group().and_then(|group| group.name().as_str());
        let mut seen = self.seen();
        seen.connections += 1;
        seen.key_exchange = group;
    }

    fn reply(&self, head: &Parts, body: &[u8]) -> Option<&Reply> {
        let action = action(head, body)?;
        let is_for = |reply: &&Reply| {
            let has = |text: &str| body.windows(text.len()).any(|part| part == text.as_bytes());
            reply.action.as_bytes() == action && reply.only_with.is_none_or(has)
        };
        self.replies.iter().find(is_for)
    }
}

/// The action of a call: EC2's is in the body, CloudWatch's in the path, EventBridge's in a header.
fn action<'a>(head: &'a Parts, body: &'a [u8]) -> Option<&'a [u8]> {
    if let Some(target) = head.headers.get("x-amz-target") {
        return target.as_bytes().rsplit(|byte| *byte == b'.').next();
    }
    match head.uri.path() {
        "/" => body.strip_prefix(b"Action=")?.split(|byte| *byte == b'&').next(),
        path => path.as_bytes().rsplit(|byte| *byte == b'/').next(),
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("latency", &self.latency).finish_non_exhaustive()
    }
}

async fn answer(shared: &Shared, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    // A body that breaks off has no answer.
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    if !shared.latency.is_zero() {
        sleep(shared.latency).await;
    }
    let response = shared.reply(&head, &body).map(response);
    let mut seen = shared.seen();
    seen.calls += 1;
    if response.is_none() {
        seen.unknown = Some(format!("{} {}", head.uri, String::from_utf8_lossy(&body)));
    }
    if let Some(kept) = &mut seen.kept {
        kept.push(Call { head, body });
    }
    response.unwrap_or_else(|| {
        let mut response = Response::new(Full::default());
        *response.status_mut() = StatusCode::NOT_IMPLEMENTED;
        response
    })
}

fn response(reply: &Reply) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(reply.body.clone()));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(reply.content_type));
    headers.insert("x-amzn-requestid", HeaderValue::from_static("59dbff89-35bd-4eac-99ed-be587EXAMPLE"));
    if let Some(protocol) = reply.protocol {
        headers.insert("smithy-protocol", HeaderValue::from_static(protocol));
    }
    response
}
