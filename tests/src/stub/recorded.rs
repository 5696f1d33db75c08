//! Requests as the stub got them, and what says which of them are meant.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use axum::body::Bytes;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, Response, Uri};
use reqwest::Url;

/// Headers that carry a credential. They are passed on and not recorded.
const CREDENTIAL_HEADERS: [HeaderName; 2] = [AUTHORIZATION, HeaderName::from_static("x-amz-security-token")];

/// One request as the stub got it.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// The operation in AWS's name, as in `RunInstances`; empty if this is no request of AWS's protocols.
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
    upstream: Arc<OnceLock<Response<Bytes>>>,
}

impl Recorded {
    pub(super) fn new(uri: &Uri, mut headers: HeaderMap, body: Bytes) -> Self {
        let region = signed_region(&headers);
        for name in CREDENTIAL_HEADERS {
            headers.remove(name);
        }
        let params = form_fields(&headers, &body);
        let action = params.get("Action").cloned().or_else(|| rpc_operation(uri)).or_else(|| target(&headers));
        let (action, at, upstream) = (action.unwrap_or_default(), Instant::now(), Arc::default());
        Self { action, params, body, headers, region, at, upstream }
    }

    /// What upstream answered, whether or not the caller got to see it; nothing if upstream was not asked or has not
    /// answered yet.
    pub fn upstream(&self) -> Option<&Response<Bytes>> {
        self.upstream.get()
    }

    pub(super) fn set_upstream(&self, answer: Response<Bytes>) {
        // Each request is passed on once.
        let _ = self.upstream.set(answer);
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

/// The operation in the path of Smithy's rpc-v2-cbor: `/service/<service>/operation/<operation>`.
fn rpc_operation(uri: &Uri) -> Option<String> {
    let (_service, operation) = uri.path().strip_prefix("/service/")?.split_once("/operation/")?;
    Some(operation.to_owned())
}

/// The operation of AWS's JSON protocols: `X-Amz-Target: AmazonSSM.GetParameter`.
fn target(headers: &HeaderMap) -> Option<String> {
    let (_service, operation) = headers.get("x-amz-target")?.to_str().ok()?.split_once('.')?;
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
