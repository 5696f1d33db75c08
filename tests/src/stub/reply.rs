//! What a script answers with.

use axum::body::Bytes;
use axum::http::Response;
use axum::http::header::CONTENT_TYPE;

/// The AWS request id of every scripted error.
pub const REQUEST_ID: &str = "59dbff89-35bd-4eac-99ed-be587EXAMPLE";

/// What a scripted request gets: whether upstream carries it out, what is answered, and how.
#[derive(Clone, Debug)]
pub struct Reply {
    pub(super) work: bool,
    /// Upstream's own answer if there is none.
    pub(super) answer: Option<Response<Bytes>>,
    pub(super) manner: Manner,
    /// Whether it is a document, for the journal.
    pub(super) readable: bool,
}

/// How an answer is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// As it should be.
    Whole,
    /// A byte a second: longer than anyone waits.
    Slowly,
    /// Half of it, as if it were the whole.
    Truncated,
    /// Half of it, under the length of the whole; then the connection is closed.
    CutShort,
    /// Not at all: the connection is closed.
    Close,
    /// Not at all, on a connection that stays open.
    Silence,
}

impl Reply {
    /// What upstream answers: an exception ahead of a broader script.
    pub fn pass_through() -> Self {
        Self { work: true, answer: None, manner: Manner::Whole, readable: true }
    }

    /// The connection is closed, and upstream sees nothing.
    pub fn closed() -> Self {
        Self { work: false, answer: None, manner: Manner::Close, readable: true }
    }

    /// No answer, on a connection that stays open, and upstream sees nothing.
    pub fn silence() -> Self {
        Self { work: false, answer: None, manner: Manner::Silence, readable: true }
    }

    /// The same with one more header, unless it is upstream's own answer.
    ///
    /// # Panics
    /// If the header cannot be sent in HTTP.
    #[must_use]
    #[expect(clippy::expect_used, reason = "test support")]
    pub fn with_header(mut self, name: &'static str, value: &str) -> Self {
        if let Some(answer) = &mut self.answer {
            answer.headers_mut().insert(name, value.parse().expect("a header that HTTP can send"));
        }
        self
    }

    /// The same to the caller, after upstream has carried the request out.
    #[must_use]
    pub fn after_work(self) -> Self {
        Self { work: true, ..self }
    }

    /// The same answer, a byte a second.
    #[must_use]
    pub fn slowly(self) -> Self {
        Self { manner: Manner::Slowly, ..self }
    }

    /// Half of the answer, as if it were the whole.
    #[must_use]
    pub fn truncated(self) -> Self {
        Self { manner: Manner::Truncated, ..self }
    }

    /// Half of the answer, under the length of the whole; then the connection is closed.
    #[must_use]
    pub fn cut_short(self) -> Self {
        Self { manner: Manner::CutShort, ..self }
    }

    /// The same answer, which is none that AWS gives: what reads answers with AWS's models shall not.
    #[must_use]
    pub fn unreadable(self) -> Self {
        Self { readable: false, ..self }
    }

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

    /// An error as Systems Manager writes it in AWS's JSON protocol, with [`REQUEST_ID`].
    ///
    /// # Panics
    /// If `status` is no HTTP status.
    pub fn ssm_error(status: u16, code: &str, message: &str) -> Self {
        let headers = [(CONTENT_TYPE.as_str(), "application/x-amz-json-1.1"), ("x-amzn-requestid", REQUEST_ID)];
        Self::raw(status, &headers, serde_json::json!({"__type": code, "message": message}).to_string())
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
        let answer = response.body(body.into()).expect("a status and headers that HTTP can send");
        Self { work: false, answer: Some(answer), manner: Manner::Whole, readable: true }
    }
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
pub(super) fn cbor_head(major: u8, length: usize) -> Vec<u8> {
    let major = major << 5;
    match u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes() {
        [0, 0, 0, length @ 0..24] => vec![major | length],
        [0, 0, 0, length] => vec![major | 24, length],
        [0, 0, high, low] => vec![major | 25, high, low],
        [a, b, c, d] => vec![major | 26, a, b, c, d],
    }
}
