//! AWS's words: EC2's requests as form fields and its answers as XML, Systems Manager's JSON, CloudWatch's CBOR.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use aws_sdk_ec2::config::http::HttpResponse;
use aws_sdk_ec2::primitives::{DateTime, DateTimeFormat};
use aws_smithy_cbor::data::Type;
use aws_smithy_cbor::decode::DeserializeError;
use aws_smithy_cbor::{Decoder, Encoder};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use serde_json::json;

/// The fields of a request.
pub type Fields = BTreeMap<String, String>;

/// Reads a request's body.
pub fn fields(body: &[u8]) -> Fields {
    // The same form that URLs have their queries in.
    let mut url: reqwest::Url = reqwest::Url::parse("http://ec2/").unwrap_or_else(|_| unreachable!());
    url.set_query(Some(&String::from_utf8_lossy(body)));
    url.query_pairs().into_owned().collect()
}

/// The values of a list, `InstanceId.1`, `InstanceId.2`, …
pub fn list(fields: &Fields, name: &str) -> Vec<String> {
    (1..).map_while(|number| fields.get(&format!("{name}.{number}")).cloned()).collect()
}

/// The filters of a read: names with their values.
pub fn filters(fields: &Fields) -> Vec<(String, Vec<String>)> {
    (1..)
        .map_while(|number| {
            let name = fields.get(&format!("Filter.{number}.Name"))?;
            Some((name.clone(), list(fields, &format!("Filter.{number}.Value"))))
        })
        .collect()
}

/// The tags of a launch's instance, or of a change of tags.
pub fn tags(fields: &Fields, prefix: &str) -> BTreeMap<String, String> {
    (1..)
        .map_while(|number| {
            let key = fields.get(&format!("{prefix}.{number}.Key"))?;
            let value = fields.get(&format!("{prefix}.{number}.Value")).cloned().unwrap_or_default();
            Some((key.clone(), value))
        })
        .collect()
}

/// An element with this content.
pub fn element(name: &str, content: &str) -> String {
    format!("<{name}>{content}</{name}>")
}

/// An element with this text.
pub fn text(name: &str, content: &str) -> String {
    element(name, &content.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;"))
}

/// The document that answers an action.
pub fn document(action: &str, content: &str) -> String {
    format!(
        "<{action}Response xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><requestId>simulated</requestId>{content}</{action}Response>"
    )
}

/// The document of an error.
pub fn error(code: &str, message: &str) -> String {
    let error = text("Code", code) + &text("Message", message);
    element("Response", &(element("Errors", &element("Error", &error)) + &text("RequestID", "simulated")))
}

/// A moment as EC2 writes it.
pub fn time(at: SystemTime) -> String {
    DateTime::from(at).fmt(DateTimeFormat::DateTime).unwrap_or_default()
}

/// How a service speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// EC2: a form, and XML.
    Query,
    /// Systems Manager.
    Json,
    /// CloudWatch.
    Cbor,
}

impl Protocol {
    fn error(self, status: u16, code: &str, message: &str) -> (u16, Vec<u8>) {
        let body = match self {
            Self::Query => error(code, message).into_bytes(),
            Self::Json => json!({"__type": code, "message": message}).to_string().into_bytes(),
            Self::Cbor => {
                let mut body = Encoder::new(Vec::new());
                body.map(2).str("__type").str(code).str("message").str(message);
                body.into_writer()
            }
        };
        (status, body)
    }

    /// The service throttles.
    pub fn throttled(self) -> (u16, Vec<u8>) {
        match self {
            Self::Query => self.error(503, "RequestLimitExceeded", "Request limit exceeded."),
            Self::Json => self.error(400, "ThrottlingException", "Rate exceeded"),
            Self::Cbor => self.error(400, "Throttling", "Rate exceeded"),
        }
    }

    /// The service fails.
    pub fn failed(self) -> (u16, Vec<u8>) {
        match self {
            Self::Query => self.error(500, "InternalError", "An internal error has occurred"),
            Self::Json => self.error(500, "InternalServerError", "An error occurred on the server side."),
            Self::Cbor => self.error(500, "InternalServiceFault", "Request processing has failed."),
        }
    }

    /// What goes over the wire.
    pub fn response(self, status: u16, body: Vec<u8>) -> Result<HttpResponse, ConnectorError> {
        let status = status.try_into().map_err(|_| ConnectorError::other("no status".into(), None))?;
        let mut response = HttpResponse::new(status, SdkBody::from(body));
        if self == Self::Cbor {
            response.headers_mut().insert("smithy-protocol", "rpc-v2-cbor");
            response.headers_mut().insert("content-type", "application/cbor");
        }
        Ok(response)
    }
}

/// EventBridge's answer: each entry has its id.
pub fn put_events(entries: usize) -> Vec<u8> {
    let entries: Vec<_> = (0..entries).map(|number| json!({"EventId": number.to_string()})).collect();
    json!({"FailedEntryCount": 0, "Entries": entries}).to_string().into_bytes()
}

/// Systems Manager's answer: the parameter holds this.
pub fn parameter(value: &str) -> Vec<u8> {
    json!({"Parameter": {"Name": "/cml/image", "Type": "String", "Value": value}}).to_string().into_bytes()
}

/// CloudWatch's answer: one point, five minutes ago.
pub fn datapoints(now: SystemTime) -> Vec<u8> {
    points(&[(now - Duration::from_secs(300), 20.0)])
}

/// CloudWatch's answer: these points, each with its average.
pub fn points(points: &[(SystemTime, f64)]) -> Vec<u8> {
    let mut body = Encoder::new(Vec::new());
    body.map(2).str("Label").str("CPUUtilization").str("Datapoints").array(points.len());
    for (at, average) in points {
        body.map(5).str("Timestamp").timestamp(&DateTime::from(*at));
        body.str("SampleCount").double(5.0).str("Average").double(*average).str("Maximum").double(average * 1.5);
        body.str("Unit").str("Percent");
    }
    body.into_writer()
}

/// What a request to CloudWatch asks for, in seconds since the epoch.
#[derive(Debug, Clone, Default)]
pub struct MetricRequest {
    /// The instance of the dimension `InstanceId`.
    pub instance_id: Option<String>,
    /// From when.
    pub start: i64,
    /// Until when.
    pub end: i64,
}

impl MetricRequest {
    /// Reads a request's body.
    ///
    /// # Panics
    /// If it is no request for statistics: the simulation would answer something else.
    #[expect(clippy::expect_used, reason = "a simulation stops at a surprise")]
    pub fn read(body: &[u8]) -> Self {
        let mut request = Self::default();
        request.fill(&mut Decoder::new(body)).expect("GetMetricStatistics in CBOR");
        request
    }

    fn fill(&mut self, body: &mut Decoder<'_>) -> Result<(), DeserializeError> {
        let mut members = body.map()?;
        while is_next(body, &mut members)? {
            match body.str()?.as_ref() {
                "StartTime" => self.start = body.timestamp()?.secs(),
                "EndTime" => self.end = body.timestamp()?.secs(),
                "Dimensions" => self.dimensions(body)?,
                _ => body.skip()?,
            }
        }
        Ok(())
    }

    fn dimensions(&mut self, body: &mut Decoder<'_>) -> Result<(), DeserializeError> {
        let mut dimensions = body.list()?;
        while is_next(body, &mut dimensions)? {
            let (mut members, mut dimension) = (body.map()?, BTreeMap::new());
            while is_next(body, &mut members)? {
                dimension.insert(body.string()?, body.string()?);
            }
            if dimension.get("Name").is_some_and(|name| name == "InstanceId") {
                self.instance_id = dimension.remove("Value");
            }
        }
        Ok(())
    }
}

/// Whether a map or a list has one more element: CBOR gives its length at the begin, or ends it with a break.
fn is_next(body: &mut Decoder<'_>, left: &mut Option<u64>) -> Result<bool, DeserializeError> {
    match left {
        Some(0) => Ok(false),
        Some(left) => {
            *left -= 1;
            Ok(true)
        }
        None if body.datatype()? == Type::Break => body.skip().map(|()| false),
        None => Ok(true),
    }
}
