//! A scripted HTTP server between the functions and AWS: it records every request, passes it on to an upstream (moto for
//! EC2, MiniStack for CloudWatch), and answers by itself where a test scripted a [`Reply`].
//!
//! It can also fail: answer slowly, in half, not at all, before or after upstream has carried the request out.
//!
//! It is no emulator: it knows how EC2 and CloudWatch write requests and errors, and nothing of what they do.
//!
//! Tests of one binary share a stub and run in parallel. A script therefore names what it is for (an instance id, say),
//! and ends with the guard that [`Stub::script`] returns.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use axum::body::{Body, Bytes};
use axum::http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, TRANSFER_ENCODING};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use reqwest::{Url, redirect};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use journal::Journal;

mod body;
mod journal;
mod recorded;
mod reply;

pub use recorded::{Matcher, Recorded, action};
pub use reply::{REQUEST_ID, Reply};

/// Headers of one connection or of one encoding of the body: never passed on, the next sender writes its own.
const CONNECTION_HEADERS: [HeaderName; 4] = [CONNECTION, CONTENT_LENGTH, EXPECT, TRANSFER_ENCODING];

/// How many requests a script answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Times {
    /// The first so many; later ones are tried against the scripts after it, then passed on.
    Exactly(u32),
    /// All, until the guard goes.
    Always,
}

/// The running server. It lives on a thread of its own, so that the tests of one binary, each with its own runtime, can
/// share it; it stops when dropped.
#[derive(Debug)]
pub struct Stub {
    shared: Arc<Shared>,
    endpoint: String,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Stub {
    /// Listens on a free port of 127.0.0.1 and passes on to `upstream`, as in `http://127.0.0.1:5000`.
    ///
    /// # Panics
    /// If `upstream` is no URL or there is no port to listen on.
    #[expect(clippy::expect_used, reason = "test support")]
    pub async fn start(upstream: &str) -> Self {
        let shared = Arc::new(Shared::new(upstream));
        let (ready, listening) = oneshot::channel();
        let (stop, stopped) = oneshot::channel();
        let thread = thread::Builder::new()
            .name("stub".to_owned())
            .spawn({
                let shared = Arc::clone(&shared);
                move || run(shared, ready, stopped)
            })
            .expect("a thread for the stub");
        let endpoint = listening.await.expect("the stub should listen");
        Self { shared, endpoint, stop: Some(stop), thread: Some(thread) }
    }

    /// Passes on to another upstream from now on: a stub's own address is needed before the emulator behind it has one.
    ///
    /// # Panics
    /// If `upstream` is no URL.
    #[expect(clippy::expect_used, reason = "test support")]
    pub fn pass_to(&self, upstream: &str) {
        *lock(&self.shared.upstream) = Url::parse(upstream).expect("upstream is a URL");
    }

    /// The URL to give a client instead of upstream's.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// All requests so far, in the order they came.
    pub fn requests(&self) -> Vec<Recorded> {
        self.requests_matching(|_| true)
    }

    /// The requests so far that `matcher` means, in the order they came.
    pub fn requests_matching(&self, matcher: impl Matcher) -> Vec<Recorded> {
        lock(&self.shared.requests).iter().filter(|request| matcher(request)).cloned().collect()
    }

    /// Keeps no record of the requests so far: a long run would fill the memory with them.
    pub fn forget(&self) {
        lock(&self.shared.requests).clear();
    }

    /// Answers requests that `matcher` means with `reply`, for as long as the returned guard lives. Of several scripts
    /// that mean a request, the one written first and not used up answers.
    pub fn script(&self, matcher: impl Matcher, times: Times, reply: Reply) -> Script {
        let id = self.shared.next_script.fetch_add(1, Ordering::Relaxed);
        let matcher = Box::new(matcher);
        lock(&self.shared.scripts).insert(id, ScriptState { matcher, times, reply, hits: 0 });
        Script { shared: Arc::clone(&self.shared), id }
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was printed where it happened; a second one here would abort the test binary.
            let _ = thread.join();
        }
    }
}

/// A script in force. Dropping it takes the script away.
#[derive(Debug)]
#[must_use = "the script ends when this is dropped"]
pub struct Script {
    shared: Arc<Shared>,
    id: u64,
}

impl Script {
    /// How many requests it has answered. A test of a fault should see that the fault happened.
    pub fn hits(&self) -> u32 {
        lock(&self.shared.scripts).get(&self.id).map_or(0, |script| script.hits)
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        lock(&self.shared.scripts).remove(&self.id);
    }
}

/// What the server thread and the tests both hold.
struct Shared {
    upstream: Mutex<Url>,
    http: reqwest::Client,
    requests: Mutex<Vec<Recorded>>,
    journal: Journal,
    /// By number, so that the order of the map is the order in which they were written.
    scripts: Mutex<BTreeMap<u64, ScriptState>>,
    next_script: AtomicU64,
}

impl Shared {
    #[expect(clippy::expect_used, reason = "test support")]
    fn new(upstream: &str) -> Self {
        // No pool: a kept connection that upstream closes as it is used again would be a fault that nobody scripted.
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(redirect::Policy::none())
            .pool_max_idle_per_host(0)
            .build()
            .expect("an HTTP client without TLS needs nothing");
        Self {
            upstream: Mutex::new(Url::parse(upstream).expect("upstream is a URL")),
            http,
            requests: Mutex::default(),
            journal: Journal::open(),
            scripts: Mutex::default(),
            next_script: AtomicU64::default(),
        }
    }

    /// The reply of the first script that means this request. The request counts as answered by it.
    fn scripted(&self, request: &Recorded) -> Option<Reply> {
        lock(&self.scripts).values_mut().find(|script| script.means(request)).map(|script| {
            script.hits += 1;
            script.reply.clone()
        })
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("upstream", &lock(&self.upstream).as_str()).finish_non_exhaustive()
    }
}

struct ScriptState {
    matcher: Box<dyn Fn(&Recorded) -> bool + Send + Sync>,
    times: Times,
    reply: Reply,
    hits: u32,
}

impl ScriptState {
    fn means(&self, request: &Recorded) -> bool {
        let used_up = matches!(self.times, Times::Exactly(times) if self.hits >= times);
        !used_up && (self.matcher)(request)
    }
}

/// A matcher that panics fails its own test only: what the lock guards is whole between any two statements.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The server thread: serves until the stub is dropped, and then leaves at once, open connections or not.
#[expect(clippy::expect_used, reason = "test support")]
fn run(shared: Arc<Shared>, ready: oneshot::Sender<String>, stopped: oneshot::Receiver<()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime for the stub");
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        // Nobody waits any more if the future of `Stub::start` was dropped; then `stopped` ends this too.
        let _ = ready.send(format!("http://{address}"));
        tokio::select! {
            () = serve(listener, shared) => {}
            _ = stopped => {}
        }
    });
    // A look-up of upstream's name may still be running on a blocking thread.
    runtime.shutdown_background();
}

/// hyper itself, since a service of it can fail: then the connection is closed without an answer.
async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        // A connection that was lost before it was accepted, or too many of them for now.
        let Ok((connection, _)) = listener.accept().await else { continue };
        let shared = Arc::clone(&shared);
        let service = service_fn(move |request| answer(Arc::clone(&shared), request));
        let connection = http1::Builder::new().serve_connection(TokioIo::new(connection), service);
        // Its error is the caller's going away, or a scripted one.
        tokio::spawn(async { drop(connection.await) });
    }
}

async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> io::Result<Response<Body>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let recorded = Recorded::new(&head.uri, head.headers.clone(), body.clone());
    lock(&shared.requests).push(recorded.clone());
    shared.journal.request(&recorded);
    let reply = shared.scripted(&recorded).unwrap_or_else(Reply::pass_through);
    let mut answer = Response::default();
    if reply.work {
        answer = pass_on(&shared, head, body).await.unwrap_or_else(|error| bad_gateway(&error));
        recorded.set_upstream(answer.clone());
    }
    if let Some(written) = &reply.answer {
        shared.journal.answer(&recorded, written, reply.readable);
    }
    body::send(reply.answer.unwrap_or(answer), reply.manner).await
}

/// Sends the request to upstream as it came, `Host` and signature included: upstream checks what the caller signed.
async fn pass_on(shared: &Shared, head: Parts, body: Bytes) -> reqwest::Result<Response<Bytes>> {
    let mut url = lock(&shared.upstream).clone();
    url.set_path(head.uri.path());
    url.set_query(head.uri.query());
    let request = shared.http.request(head.method, url).headers(end_to_end(head.headers)).body(body);
    let upstream = request.send().await?;

    let status = upstream.status();
    let headers = end_to_end(upstream.headers().clone());
    let mut response = Response::new(upstream.bytes().await?);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    Ok(response)
}

/// What a caller reads if upstream is down: an answer in neither protocol, so that no test takes it for one of AWS.
fn bad_gateway(error: &reqwest::Error) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(format!("the stub's upstream does not answer: {error:?}")));
    *response.status_mut() = StatusCode::BAD_GATEWAY;
    response
}

/// The headers that are about the message and not about the connection.
fn end_to_end(mut headers: HeaderMap) -> HeaderMap {
    for name in CONNECTION_HEADERS {
        headers.remove(name);
    }
    headers
}

#[cfg(test)]
mod tests;
