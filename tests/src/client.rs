//! A caller of the deployed API: signs requests for `execute-api` with SigV4, as `curl --aws-sigv4` and botocore do.
//!
//! A [`Client`] is a value. Variants of it are made with [`Client::unsigned`] and [`Client::with_header`]; another IAM
//! user is another [`Client::new`].

use std::net::{Ipv4Addr, SocketAddr};
use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Url, redirect};
use serde_json::Value;

/// Why a request got no answer at all: a bad URL, a refused connection.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// One caller of the API.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    api_url: String,
    region: String,
    headers: Vec<(String, String)>,
    credentials: Option<Credentials>,
}

/// What the API answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// HTTP status code.
    pub status: u16,
    /// Response headers.
    pub headers: HeaderMap,
    /// The body as JSON; `null` if it is none.
    pub json: Value,
    /// The body as it came.
    pub text: String,
}

impl Answer {
    /// The value of a header, if it is there and is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

impl Client {
    /// A caller with the key pair of an IAM user. `api_url` ends in the stage:
    /// `http://<rest_api_id>.execute-api.localhost:<port>/v1`.
    ///
    /// # Panics
    /// If no HTTP client can be made.
    #[expect(clippy::expect_used, reason = "test support")]
    pub fn new(api_url: &str, region: &str, access_key_id: &str, secret_access_key: &str) -> Self {
        Self {
            http: http_client(api_url).expect("an HTTP client without TLS needs nothing"),
            api_url: api_url.trim_end_matches('/').to_owned(),
            region: region.to_owned(),
            headers: Vec::new(),
            credentials: Some(credentials(access_key_id, secret_access_key)),
        }
    }

    /// Where the API is, with the stage.
    pub fn url(&self) -> &str {
        &self.api_url
    }

    /// The same caller without a signature.
    #[must_use]
    pub fn unsigned(&self) -> Self {
        Self { credentials: None, ..self.clone() }
    }

    /// The same caller, sending (and signing) one more header.
    #[must_use]
    pub fn with_header(&self, name: &str, value: &str) -> Self {
        let mut client = self.clone();
        client.headers.push((name.to_owned(), value.to_owned()));
        client
    }

    /// Sends one request. `path_and_query` starts after the stage, as in `/regions/us-east-1/instances`; [`with_query`]
    /// adds a query to it.
    ///
    /// # Panics
    /// If there is no answer: a test has nothing to assert then. [`Client::try_request`] gives the reason instead.
    #[expect(clippy::expect_used, reason = "test support")]
    pub async fn request(&self, method: &str, path_and_query: &str, body: Option<Value>) -> Answer {
        self.try_request(method, path_and_query, body).await.expect("the API should answer")
    }

    /// [`Client::request`] for those who expect that nobody listens yet.
    ///
    /// # Errors
    /// Bad URL, method or header; no connection; connection lost before the whole answer was here.
    pub async fn try_request(&self, method: &str, path_and_query: &str, body: Option<Value>) -> Result<Answer, Error> {
        let method = Method::from_bytes(method.as_bytes())?;
        let url = Url::parse(&format!("{}{path_and_query}", self.api_url))?;
        // Serialized once: these bytes are signed and sent.
        let body = body.map(|body| body.to_string().into_bytes()).unwrap_or_default();

        let mut headers = self.headers.clone();
        headers.push((CONTENT_TYPE.to_string(), "application/json".to_owned()));
        headers.extend(self.signature(&method, &url, &headers, &body)?);

        let request = self.http.request(method, url).headers(header_map(&headers)?).body(body);
        answer(request.send().await?).await
    }

    /// The headers that sign this request, none for an unsigned caller. Host is covered: the signer takes it from `url`.
    fn signature(
        &self,
        method: &Method,
        url: &Url,
        headers: &[(String, String)],
        body: &[u8],
    ) -> Result<Vec<(String, String)>, Error> {
        let Some(credentials) = self.credentials.clone() else {
            return Ok(Vec::new());
        };
        let identity = credentials.into();
        let params = SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name("execute-api")
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()?
            .into();
        let headers = headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let body = SignableBody::Bytes(body);
        let request = SignableRequest::new(method.as_str(), url.as_str(), headers, body)?;
        let (instructions, _signature) = sign(request, &params)?.into_parts();
        Ok(instructions.headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }
}

/// `path` with `pairs` as its query, percent-encoded as SigV4 wants it: what is not `A-Z a-z 0-9 - . _ ~` is `%XX`.
/// A repeated key stays repeated; without pairs the path is unchanged.
pub fn with_query(path: &str, pairs: &[(&str, &str)]) -> String {
    if pairs.is_empty() {
        return path.to_owned();
    }
    let pairs: Vec<_> =
        pairs.iter().map(|(key, value)| format!("{}={}", percent_encode(key), percent_encode(value))).collect();
    format!("{path}?{}", pairs.join("&"))
}

/// SigV4's percent-encoding. `Url`'s own writes a space as `+` and leaves `*` alone, which signature checks refuse.
fn percent_encode(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

fn credentials(access_key_id: &str, secret_access_key: &str) -> Credentials {
    Credentials::builder()
        .access_key_id(access_key_id)
        .secret_access_key(secret_access_key)
        .provider_name("tests")
        .build()
}

/// An HTTP client that keeps no connections: each `#[tokio::test]` has its own runtime, and a connection kept from one
/// is dead in the next.
fn http_client(api_url: &str) -> reqwest::Result<reqwest::Client> {
    let builder = reqwest::Client::builder().no_proxy().redirect(redirect::Policy::none()).pool_max_idle_per_host(0);
    match localhost_name(api_url) {
        // Port 0 means the port of the URL.
        Some(host) => builder.resolve(&host, SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).build(),
        None => builder.build(),
    }
}

/// The host of `api_url` if it is a name under `.localhost`. Not every resolver knows that those mean this machine
/// (RFC 6761); glibc's does not without systemd.
fn localhost_name(api_url: &str) -> Option<String> {
    let url = Url::parse(api_url).ok()?;
    url.host_str().filter(|host| host.ends_with(".localhost")).map(str::to_owned)
}

fn header_map(headers: &[(String, String)]) -> Result<HeaderMap, Error> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(name.parse::<HeaderName>()?, HeaderValue::from_str(value)?);
    }
    Ok(map)
}

async fn answer(response: reqwest::Response) -> Result<Answer, Error> {
    let status = response.status().as_u16();
    let headers = response.headers().clone();
    let text = response.text().await?;
    let json = serde_json::from_str(&text).unwrap_or_default();
    Ok(Answer { status, headers, json, text })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use axum::http::Uri;
    use axum::{Json, Router};
    use serde_json::json;
    use tokio::net::TcpListener;

    use super::*;

    /// A server that answers with the request it got, and a client that calls it as it would call a deployed stage.
    async fn echo() -> Client {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(axum::serve(listener, Router::new().fallback(echo_request)).into_future());
        let api_url = format!("http://abcd1234.execute-api.localhost:{port}/v1");
        Client::new(&api_url, "us-east-1", "AKIDEXAMPLE", "the secret")
    }

    async fn echo_request(uri: Uri, method: Method, headers: HeaderMap, body: String) -> Json<Value> {
        let headers: BTreeMap<_, _> =
            headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        Json(json!({
            "method": method.as_str(),
            "path": uri.path(),
            "query": uri.query(),
            "headers": headers,
            "body": body,
        }))
    }

    fn authorization(answer: &Answer) -> &str {
        answer.json["headers"]["authorization"].as_str().unwrap()
    }

    #[test]
    fn a_query_is_encoded_as_sigv4_wants_it() {
        let pairs = [("name", "cml-2.8*"), ("tag.Cost Center", "a=b&c/d+e"), ("owner", "é~_.-"), ("empty", "")];
        assert_eq!(
            with_query("/images", &pairs),
            "/images?name=cml-2.8%2A&tag.Cost%20Center=a%3Db%26c%2Fd%2Be&owner=%C3%A9~_.-&empty="
        );
    }

    #[test]
    fn a_path_without_pairs_stays_as_it_is() {
        assert_eq!(with_query("/health", &[]), "/health");
    }

    #[tokio::test]
    async fn the_signature_covers_host_and_every_header_given() {
        let client = echo().await.with_header("Idempotency-Key", "order-7");
        let answer = client.request("POST", "/regions/us-east-1/instances", Some(json!({"name": "w"}))).await;

        let authorization = authorization(&answer);
        assert!(authorization.starts_with("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/"), "{authorization}");
        assert!(authorization.contains("/us-east-1/execute-api/aws4_request,"), "{authorization}");
        assert!(
            authorization.contains("SignedHeaders=content-type;host;idempotency-key;x-amz-date,"),
            "{authorization}"
        );
        assert_eq!(answer.json["headers"]["idempotency-key"], "order-7");
    }

    #[tokio::test]
    async fn the_host_sent_is_the_api_s_own_with_its_port() {
        let client = echo().await;
        let host = client.api_url.trim_start_matches("http://").trim_end_matches("/v1").to_owned();

        let answer = client.request("GET", "/health", None).await;

        assert_eq!(answer.json["headers"]["host"], host);
        assert_eq!(answer.json["path"], "/v1/health");
    }

    #[tokio::test]
    async fn method_and_body_arrive_as_given() {
        let body = json!({"tags": {"Name": "würfel"}});
        let answer = echo().await.request("PATCH", "/regions/us-east-1/instances/i-1/tags", Some(body.clone())).await;

        assert_eq!(answer.status, 200);
        assert_eq!(answer.json["method"], "PATCH");
        assert_eq!(answer.json["body"], body.to_string());
        assert_eq!(answer.json["headers"]["content-type"], "application/json");
        assert_eq!(answer.header("content-type"), Some("application/json"));
    }

    #[tokio::test]
    async fn repeated_keys_stay_repeated() {
        let path = with_query("/instances", &[("state", "running"), ("state", "stopped"), ("limit", "5")]);
        let answer = echo().await.request("GET", &path, None).await;

        assert_eq!(answer.json["query"], "state=running&state=stopped&limit=5");
    }

    #[tokio::test]
    async fn an_unsigned_caller_sends_no_signature() {
        let answer = echo().await.unsigned().request("GET", "/health", None).await;

        assert_eq!(answer.json["headers"].get("authorization"), None);
        assert_eq!(answer.json["headers"].get("x-amz-date"), None);
    }

    #[tokio::test]
    async fn nobody_listening_is_an_error_and_not_a_panic() {
        // Port 1 is tcpmux: reserved, and never given out to programs that ask for a free port.
        let client = Client::new("http://127.0.0.1:1/v1", "us-east-1", "AKIDEXAMPLE", "the secret");

        assert!(client.try_request("GET", "/health", None).await.is_err());
    }

    #[test]
    fn the_secret_is_not_in_the_debug_form() {
        let client = Client::new("http://127.0.0.1:1/v1", "us-east-1", "AKIDEXAMPLE", "the secret");

        assert!(!format!("{client:?}").contains("the secret"));
    }
}
