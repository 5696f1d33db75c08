//! A scripted HTTP server between the functions and AWS: it records every request, passes it on to an upstream (moto for
//! EC2, MiniStack for CloudWatch), and answers by itself where a test scripted a [`Reply`].
//!
//! It is no emulator: it knows how EC2 and CloudWatch write requests and errors, and nothing of what they do.
//!
//! Tests of one binary share a stub and run in parallel. A script therefore names what it is for (an instance id, say),
//! and ends with the guard that [`Stub::script`] returns.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, State};
use axum::http::header::{AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, TRANSFER_ENCODING};
use axum::http::{HeaderMap, HeaderName, Method, Response, StatusCode, Uri};
use reqwest::{Url, redirect};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// The AWS request id of every scripted error.
pub const REQUEST_ID: &str = "59dbff89-35bd-4eac-99ed-be587EXAMPLE";

/// Headers that carry a credential. They are passed on and not recorded.
const CREDENTIAL_HEADERS: [HeaderName; 2] = [AUTHORIZATION, HeaderName::from_static("x-amz-security-token")];

/// Headers of one connection or of one encoding of the body: never passed on, the next sender writes its own.
const CONNECTION_HEADERS: [HeaderName; 4] = [CONNECTION, CONTENT_LENGTH, EXPECT, TRANSFER_ENCODING];

/// One request as the stub got it.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// The operation in AWS's name, as in `RunInstances`; empty if this is no EC2 or CloudWatch request.
    pub action: String,
    /// The form fields of an EC2 request, decoded: `InstanceId.1` → `i-…`. Empty for CloudWatch.
    pub params: BTreeMap<String, String>,
    /// The body as it came; CBOR for CloudWatch.
    pub body: Bytes,
    /// The headers, without those that carry credentials.
    pub headers: HeaderMap,
    /// The region that the request was signed for.
    pub region: Option<String>,
    /// When it came.
    pub at: Instant,
}

impl Recorded {
    fn new(uri: &Uri, mut headers: HeaderMap, body: Bytes) -> Self {
        let region = signed_region(&headers);
        for name in CREDENTIAL_HEADERS {
            headers.remove(name);
        }
        let params = form_fields(&headers, &body);
        let action = params.get("Action").cloned().or_else(|| rpc_operation(uri)).unwrap_or_default();
        Self { action, params, body, headers, region, at: Instant::now() }
    }

    /// The value of one form field.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params.get(name).map(String::as_str)
    }

    /// Whether the body holds this text. CBOR keeps text as it is, so this finds an instance id in a CloudWatch request too.
    pub fn body_contains(&self, text: &str) -> bool {
        text.is_empty() || self.body.windows(text.len()).any(|window| window == text.as_bytes())
    }
}

/// What says whether a request is meant: any `Fn(&Recorded) -> bool`. [`action`] begins one, the methods here narrow it.
pub trait Matcher: Fn(&Recorded) -> bool + Sized + Send + Sync + 'static {
    /// Only with this form field (EC2).
    fn param(self, name: &str, value: &str) -> impl Matcher + use<Self> {
        let (name, value) = (name.to_owned(), value.to_owned());
        move |request: &Recorded| self(request) && request.param(&name) == Some(value.as_str())
    }

    /// Only with this text in the body (EC2 and CloudWatch, [`Recorded::body_contains`]).
    fn body_contains(self, text: &str) -> impl Matcher + use<Self> {
        let text = text.to_owned();
        move |request: &Recorded| self(request) && request.body_contains(&text)
    }
}

impl<F: Fn(&Recorded) -> bool + Send + Sync + 'static> Matcher for F {}

/// Requests of this action, as in `action("StartInstances").param("InstanceId.1", id)`.
pub fn action(name: &str) -> impl Matcher + use<> {
    let name = name.to_owned();
    move |request: &Recorded| request.action == name
}

/// How many requests a script answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Times {
    /// The first so many; later ones are tried against the scripts after it, then passed on.
    Exactly(u32),
    /// All, until the guard goes.
    Always,
}

/// What a scripted request gets.
#[derive(Clone, Debug)]
pub enum Reply {
    /// What upstream answers: an exception ahead of a broader script.
    PassThrough,
    /// This, and upstream sees nothing.
    Answer(Response<Bytes>),
}

impl Reply {
    /// An error as EC2 writes it, with [`REQUEST_ID`].
    ///
    /// # Panics
    /// If `status` is no HTTP status.
    pub fn ec2_error(status: u16, code: &str, message: &str) -> Self {
        let headers = [(CONTENT_TYPE.as_str(), "text/xml;charset=UTF-8"), ("x-amzn-requestid", REQUEST_ID)];
        Self::raw(status, &headers, ec2_error_document(code, message))
    }

    /// An error as CloudWatch writes it in rpc-v2-cbor, with [`REQUEST_ID`].
    ///
    /// # Panics
    /// If `status` is no HTTP status.
    pub fn cloudwatch_error(status: u16, code: &str, message: &str) -> Self {
        let fault = if status < 500 { "Sender" } else { "Receiver" };
        // The SDK prefers the code of x-amzn-query-error, the one of the old query protocol, to the body's `__type`.
        let query_error = format!("{code};{fault}");
        let headers = [
            (CONTENT_TYPE.as_str(), "application/cbor"),
            ("smithy-protocol", "rpc-v2-cbor"),
            ("x-amzn-query-error", &query_error),
            ("x-amzn-requestid", REQUEST_ID),
        ];
        let shape = format!("com.amazonaws.cloudwatch#{code}");
        Self::raw(status, &headers, cbor_map([("__type", &shape), ("message", message)]))
    }

    /// Exactly this answer, right or wrong.
    ///
    /// # Panics
    /// If `status` or a header cannot be sent in HTTP.
    #[expect(clippy::expect_used, reason = "test support")]
    pub fn raw(status: u16, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Self {
        let response = headers
            .iter()
            .fold(Response::builder().status(status), |response, (name, value)| response.header(*name, *value));
        Self::Answer(response.body(body.into()).expect("a status and headers that HTTP can send"))
    }
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
        let router = Router::new().fallback(answer).layer(DefaultBodyLimit::disable()).with_state(shared);
        // Nobody waits any more if the future of `Stub::start` was dropped; then `stopped` ends this too.
        let _ = ready.send(format!("http://{address}"));
        tokio::select! {
            _ = axum::serve(listener, router) => {}
            _ = stopped => {}
        }
    });
    // A look-up of upstream's name may still be running on a blocking thread.
    runtime.shutdown_background();
}

async fn answer(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let request = Recorded::new(&uri, headers.clone(), body.clone());
    lock(&shared.requests).push(request.clone());
    match shared.scripted(&request) {
        Some(Reply::Answer(response)) => response.map(Body::from),
        Some(Reply::PassThrough) | None => {
            pass_on(&shared, method, &uri, headers, body).await.unwrap_or_else(|error| bad_gateway(&error))
        }
    }
}

/// Sends the request to upstream as it came, `Host` and signature included: upstream checks what the caller signed.
async fn pass_on(
    shared: &Shared,
    method: Method,
    uri: &Uri,
    headers: HeaderMap,
    body: Bytes,
) -> reqwest::Result<Response<Body>> {
    let mut url = lock(&shared.upstream).clone();
    url.set_path(uri.path());
    url.set_query(uri.query());
    let request = shared.http.request(method, url).headers(end_to_end(headers)).body(body);
    let upstream = request.send().await?;

    let status = upstream.status();
    let headers = end_to_end(upstream.headers().clone());
    let mut response = Response::new(Body::from(upstream.bytes().await?));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    Ok(response)
}

/// What a caller reads if upstream is down: an answer in neither protocol, so that no test takes it for one of AWS.
fn bad_gateway(error: &reqwest::Error) -> Response<Body> {
    let mut response = Response::new(Body::from(format!("the stub's upstream does not answer: {error:?}")));
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

/// The operation in the path of Smithy's rpc-v2-cbor: `/service/<service>/operation/<operation>`.
fn rpc_operation(uri: &Uri) -> Option<String> {
    let (_service, operation) = uri.path().strip_prefix("/service/")?.split_once("/operation/")?;
    Some(operation.to_owned())
}

/// The fields of a form-encoded body, none if it is something else.
fn form_fields(headers: &HeaderMap, body: &[u8]) -> BTreeMap<String, String> {
    let is_form = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.starts_with("application/x-www-form-urlencoded"));
    let (true, Ok(form)) = (is_form, std::str::from_utf8(body)) else {
        return BTreeMap::new();
    };
    // A query is written as a form is, so the parser of URLs reads it. In a form `#` is always `%23`: no fragment.
    Url::parse(&format!("form:?{form}")).map(|url| url.query_pairs().into_owned().collect()).unwrap_or_default()
}

/// The region in SigV4's credential scope: `Credential=<key>/<date>/<region>/<service>/aws4_request`.
fn signed_region(headers: &HeaderMap) -> Option<String> {
    let authorization = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (_algorithm, scope) = authorization.split_once("Credential=")?;
    scope.split('/').nth(2).map(str::to_owned)
}

fn ec2_error_document(code: &str, message: &str) -> String {
    let (code, message) = (xml_text(code), xml_text(message));
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors>\
         <RequestID>{REQUEST_ID}</RequestID></Response>"
    )
}

fn xml_text(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// A CBOR map of text to text (RFC 8949, 3.1): major type 5, then each key and value.
fn cbor_map<const N: usize>(pairs: [(&str, &str); N]) -> Vec<u8> {
    let mut cbor = cbor_head(5, N);
    for text in pairs.into_iter().flat_map(|(key, value)| [key, value]) {
        cbor.extend(cbor_head(3, text.len()));
        cbor.extend(text.as_bytes());
    }
    cbor
}

/// The head of a CBOR item: three bits of major type, and the length in the shortest of its forms up to four bytes.
fn cbor_head(major: u8, length: usize) -> Vec<u8> {
    let major = major << 5;
    match u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes() {
        [0, 0, 0, length @ 0..24] => vec![major | length],
        [0, 0, 0, length] => vec![major | 24, length],
        [0, 0, high, low] => vec![major | 25, high, low],
        [a, b, c, d] => vec![major | 26, a, b, c, d],
    }
}

#[cfg(test)]
mod tests {
    use aws_credential_types::Credentials;
    use aws_sdk_ec2::config::retry::RetryConfig;
    use aws_sdk_ec2::config::{BehaviorVersion, Region};
    use aws_sdk_ec2::error::ProvideErrorMetadata as _;
    use aws_sdk_ec2::operation::RequestId as _;

    use super::*;

    /// An upstream to which everything succeeds, and which says in headers what it saw.
    async fn upstream() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(upstream_answer);
        tokio::spawn(axum::serve(listener, router).into_future());
        endpoint
    }

    async fn upstream_answer(method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Response<Body> {
        let body = String::from_utf8_lossy(&body);
        let action = body.split('&').find_map(|field| field.strip_prefix("Action=")).unwrap_or("No");
        Response::builder()
            .header(CONTENT_TYPE, "text/xml")
            .header("seen", format!("{method} {uri} {body}"))
            .header("seen-host", headers.get("host").unwrap())
            .header("seen-signed", headers.contains_key(AUTHORIZATION).to_string())
            .body(Body::from(format!("<{action}Response/>")))
            .unwrap()
    }

    fn credentials() -> Credentials {
        Credentials::builder()
            .access_key_id("AKIDEXAMPLE")
            .secret_access_key("the secret")
            .session_token("the session token")
            .provider_name("tests")
            .build()
    }

    fn ec2(stub: &Stub) -> aws_sdk_ec2::Client {
        let config = aws_sdk_ec2::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .credentials_provider(credentials())
            .endpoint_url(stub.endpoint())
            .region(Region::new("eu-west-1"))
            .retry_config(RetryConfig::disabled());
        aws_sdk_ec2::Client::from_conf(config.build())
    }

    fn cloudwatch(stub: &Stub) -> aws_sdk_cloudwatch::Client {
        let config = aws_sdk_cloudwatch::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .credentials_provider(credentials())
            .endpoint_url(stub.endpoint())
            .region(Region::new("eu-west-1"))
            .retry_config(RetryConfig::disabled());
        aws_sdk_cloudwatch::Client::from_conf(config.build())
    }

    /// `Ok`, or the code of the error.
    async fn start(ec2: &aws_sdk_ec2::Client, id: &str) -> Result<(), String> {
        let answer = ec2.start_instances().instance_ids(id).send().await;
        answer.map(drop).map_err(|error| error.code().unwrap_or("none").to_owned())
    }

    async fn get_metric_statistics(
        client: &aws_sdk_cloudwatch::Client,
        id: &str,
    ) -> Result<(), aws_sdk_cloudwatch::Error> {
        let dimension = aws_sdk_cloudwatch::types::Dimension::builder().name("InstanceId").value(id).build();
        let now = aws_sdk_cloudwatch::primitives::DateTime::from_secs(1_700_000_000);
        let request = client.get_metric_statistics().namespace("AWS/EC2").metric_name("CPUUtilization");
        request.dimensions(dimension).start_time(now).end_time(now).period(60).send().await?;
        Ok(())
    }

    #[tokio::test]
    async fn a_request_is_recorded_and_passed_on_as_it_came() {
        let stub = Stub::start(&upstream().await).await;
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let body = "Action=RunInstances&TagSpecification.1.Tag.1.Value=a+b%3D%26%C3%BC";

        let answer = http
            .post(format!("{}/a/path?q=1", stub.endpoint()))
            .header("content-type", "application/x-www-form-urlencoded")
            .header(
                "authorization",
                "AWS4-HMAC-SHA256 Credential=AKID/20260101/us-east-1/ec2/aws4_request, Signature=5",
            )
            .body(body)
            .send()
            .await
            .unwrap();

        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["content-type"], "text/xml");
        assert_eq!(answer.headers()["seen"], format!("POST /a/path?q=1 {body}"));
        assert_eq!(answer.headers()["seen-signed"], "true");
        assert_eq!(format!("http://{}", answer.headers()["seen-host"].to_str().unwrap()), stub.endpoint());
        assert_eq!(answer.text().await.unwrap(), "<RunInstancesResponse/>");

        let [request] = &stub.requests()[..] else { panic!("one request") };
        assert_eq!(request.action, "RunInstances");
        assert_eq!(request.param("TagSpecification.1.Tag.1.Value"), Some("a b=&ü"));
        assert_eq!(request.body, body);
        assert_eq!(request.region.as_deref(), Some("us-east-1"));
    }

    #[tokio::test]
    async fn a_script_for_one_request_answers_one_and_the_next_is_passed_on() {
        let stub = Stub::start(&upstream().await).await;
        let reply = Reply::ec2_error(503, "RequestLimitExceeded", "Request limit exceeded.");
        let script = stub.script(action("StartInstances").param("InstanceId.1", "i-1"), Times::Exactly(1), reply);
        let ec2 = ec2(&stub);

        assert_eq!(start(&ec2, "i-1").await, Err("RequestLimitExceeded".to_owned()));
        assert_eq!(start(&ec2, "i-1").await, Ok(()));

        assert_eq!(script.hits(), 1);
        assert_eq!(stub.requests_matching(action("StartInstances")).len(), 2);
    }

    #[tokio::test]
    async fn a_script_leaves_other_ids_and_other_actions_alone() {
        let stub = Stub::start(&upstream().await).await;
        let reply = Reply::ec2_error(400, "IncorrectInstanceState", "no");
        let script = stub.script(action("StartInstances").param("InstanceId.1", "i-1"), Times::Always, reply);
        let ec2 = ec2(&stub);

        assert_eq!(start(&ec2, "i-2").await, Ok(()));
        ec2.stop_instances().instance_ids("i-1").send().await.unwrap();
        assert_eq!(script.hits(), 0);
    }

    #[tokio::test]
    async fn the_first_script_wins_and_a_used_up_one_lets_the_next_answer() {
        let stub = Stub::start(&upstream().await).await;
        let _first = stub.script(action("StartInstances"), Times::Exactly(1), Reply::ec2_error(400, "First", ""));
        let _pass = stub.script(action("StartInstances"), Times::Exactly(1), Reply::PassThrough);
        let _last =
            stub.script(|request| request.body_contains("i-1"), Times::Always, Reply::ec2_error(400, "Last", ""));
        let ec2 = ec2(&stub);

        assert_eq!(start(&ec2, "i-1").await, Err("First".to_owned()));
        assert_eq!(start(&ec2, "i-1").await, Ok(()));
        assert_eq!(start(&ec2, "i-1").await, Err("Last".to_owned()));
        assert_eq!(start(&ec2, "i-2").await, Ok(()));
    }

    #[tokio::test]
    async fn a_dropped_script_answers_no_more() {
        let stub = Stub::start(&upstream().await).await;
        let script = stub.script(action("StartInstances"), Times::Always, Reply::ec2_error(400, "Scripted", ""));
        let ec2 = ec2(&stub);

        assert_eq!(start(&ec2, "i-1").await, Err("Scripted".to_owned()));
        drop(script);
        assert_eq!(start(&ec2, "i-1").await, Ok(()));
    }

    #[tokio::test]
    async fn the_sdk_reads_a_scripted_ec2_error_whole() {
        let stub = Stub::start(&upstream().await).await;
        let message = "You are not authorized: <i-1> & \"more\"";
        let _script = stub.script(
            action("StartInstances"),
            Times::Always,
            Reply::ec2_error(403, "UnauthorizedOperation", message),
        );

        let error = ec2(&stub).start_instances().instance_ids("i-1").send().await.unwrap_err();

        assert_eq!(error.code(), Some("UnauthorizedOperation"));
        assert_eq!(error.message(), Some(message));
        assert_eq!(error.request_id(), Some(REQUEST_ID));
        assert_eq!(error.raw_response().map(|response| response.status().as_u16()), Some(403));
    }

    #[tokio::test]
    async fn the_sdk_reads_a_scripted_cloudwatch_error_whole() {
        let stub = Stub::start(&upstream().await).await;
        let message = format!("not authorized to perform: cloudwatch:GetMetricStatistics{}", ".".repeat(300));
        let reply = Reply::cloudwatch_error(403, "AccessDenied", &message);
        let matcher = action("GetMetricStatistics").body_contains("i-1");
        let script = stub.script(matcher, Times::Always, reply);
        let cloudwatch = cloudwatch(&stub);

        let error = get_metric_statistics(&cloudwatch, "i-1").await.unwrap_err();
        assert_eq!(error.code(), Some("AccessDenied"));
        assert_eq!(error.message(), Some(message.as_str()));
        assert_eq!(error.request_id(), Some(REQUEST_ID));

        // Upstream's XML is no CBOR, so this fails too; but not by the script.
        assert!(get_metric_statistics(&cloudwatch, "i-2").await.is_err());
        assert_eq!(script.hits(), 1);
        assert_eq!(stub.requests_matching(action("GetMetricStatistics")).len(), 2);
    }

    #[test]
    fn the_body_alone_names_a_cloudwatch_error_too() {
        let Reply::Answer(response) = Reply::cloudwatch_error(500, "InternalFailure", "m") else { panic!("an answer") };

        assert_eq!(response.headers()["x-amzn-query-error"], "InternalFailure;Receiver");
        let expected = b"\xa2\x66__type\x78\x28com.amazonaws.cloudwatch#InternalFailure\x67message\x61m";
        assert_eq!(response.body().as_ref(), expected);
    }

    #[test]
    fn cbor_lengths_take_their_shortest_form() {
        assert_eq!(cbor_head(3, 23), [0x77]);
        assert_eq!(cbor_head(3, 24), [0x78, 24]);
        assert_eq!(cbor_head(3, 255), [0x78, 255]);
        assert_eq!(cbor_head(3, 256), [0x79, 1, 0]);
        assert_eq!(cbor_head(3, 65_536), [0x7a, 0, 1, 0, 0]);
    }

    #[tokio::test]
    async fn a_raw_answer_arrives_as_scripted() {
        let stub = Stub::start(&upstream().await).await;
        let _script = stub.script(|_| true, Times::Always, Reply::raw(418, &[("x-tea", "green")], "no xml"));

        let answer = reqwest::Client::builder().no_proxy().build().unwrap().get(stub.endpoint()).send().await.unwrap();

        assert_eq!(answer.status(), 418);
        assert_eq!(answer.headers()["x-tea"], "green");
        assert_eq!(answer.text().await.unwrap(), "no xml");
    }

    #[tokio::test]
    async fn no_credential_is_recorded() {
        let stub = Stub::start(&upstream().await).await;
        assert_eq!(start(&ec2(&stub), "i-1").await, Ok(()));

        let [request] = &stub.requests()[..] else { panic!("one request") };
        assert_eq!(request.region.as_deref(), Some("eu-west-1"));
        assert!(request.headers.contains_key("x-amz-date"));
        assert!(!request.headers.contains_key("authorization"));
        let shown = format!("{request:?}");
        for secret in ["the secret", "the session token", "AKIDEXAMPLE", "Signature="] {
            assert!(!shown.contains(secret), "{secret} is in {shown}");
        }
    }

    #[tokio::test]
    async fn an_upstream_that_is_down_is_a_502_that_says_so() {
        // Port 1 is tcpmux: reserved, and never given out to programs that ask for a free port.
        let stub = Stub::start("http://127.0.0.1:1").await;

        let answer = reqwest::Client::builder().no_proxy().build().unwrap().get(stub.endpoint()).send().await.unwrap();

        assert_eq!(answer.status(), 502);
        assert!(answer.text().await.unwrap().starts_with("the stub's upstream does not answer"));
    }

    #[tokio::test]
    async fn a_dropped_stub_listens_no_more() {
        let stub = Stub::start("http://127.0.0.1:1").await;
        let endpoint = stub.endpoint().to_owned();
        drop(stub);

        let answer = reqwest::Client::builder().no_proxy().build().unwrap().get(endpoint).send().await;

        assert!(answer.unwrap_err().is_connect());
    }

    #[test]
    fn a_stub_outlives_the_runtime_that_started_it() {
        let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let stub = runtime().block_on(Stub::start("http://127.0.0.1:1"));

        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let answer = runtime().block_on(http.get(stub.endpoint()).send()).unwrap();

        assert_eq!(answer.status(), 502);
    }
}
