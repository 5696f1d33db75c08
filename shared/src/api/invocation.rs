//! An invocation of a function whose work is done, as log and metrics look at it.

use std::cell::OnceCell;
use std::time::Duration;

use lambda_http::{Context, RequestExt};
use serde_json::Value;

use crate::api::request;
use crate::aws::calls::Calls;
use crate::model::operation::Operation;

/// An invocation.
#[derive(Debug)]
pub(super) struct Invocation<'a> {
    /// What was done.
    pub(super) operation: &'a Operation,
    /// The request; none if the function serves no requests.
    pub(super) request: Option<&'a lambda_http::Request>,
    /// What Lambda says of it.
    pub(super) context: &'a Context,
    /// The calls of AWS that were made for it.
    pub(super) calls: &'a Calls,
    /// How long the work took.
    pub(super) latency: Duration,
    /// The request's body, once a line of the log needs it.
    body: OnceCell<Value>,
}

impl<'a> Invocation<'a> {
    /// The invocation that did this for this request, with these calls, in so long a time.
    pub(super) fn of(
        operation: &'a Operation,
        request: Option<&'a lambda_http::Request>,
        context: &'a Context,
        calls: &'a Calls,
        latency: Duration,
    ) -> Self {
        Self { operation, request, context, calls, latency, body: OnceCell::new() }
    }

    /// Whether the request asked to wait for a state, so that its time says nothing about the function.
    pub(super) fn has_waited(&self) -> bool {
        self.asks("wait", |_| true)
    }

    /// Whether the caller asked for permission only.
    pub(super) fn is_dry_run(&self) -> bool {
        self.asks("dry_run", |value| value == "true")
    }

    /// The request's body as JSON, read once for all lines.
    pub(super) fn body(&self) -> &Value {
        self.body.get_or_init(|| self.request.map(request::logged_body).unwrap_or_default())
    }

    /// Whether the query has this parameter with such a value.
    fn asks(&self, name: &str, is_such: impl FnOnce(&str) -> bool) -> bool {
        self.request.is_some_and(|request| request.query_string_parameters().first(name).is_some_and(is_such))
    }

    /// Lambda's id of the invocation.
    pub(super) fn request_id(&self) -> &str {
        &self.context.request_id
    }

    /// The name of the function.
    pub(super) fn function(&self) -> &str {
        &self.context.env_config.function_name
    }

    /// The id of the X-Ray trace, out of the header that Lambda passes on: `Root=1-…;Parent=…;Sampled=1`.
    pub(super) fn trace_id(&self) -> Option<&str> {
        self.context.xray_trace_id.as_deref()?.split(';').find_map(|part| part.strip_prefix("Root="))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_of_the_header_is_the_traces_id() {
        let header = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1;Lineage=a87bd80c:0";
        let root = Some("1-5759e988-bd862e3fe1be46a994272793");
        for (header, id) in [(header, root), ("Parent=53995c3f42cd8ad8;Root=1-2", Some("1-2")), ("", None)] {
            let mut context = Context::default();
            context.xray_trace_id = Some(header.to_owned());
            let (operation, calls) = (&crate::ops::health::OPERATION, &Calls::default());
            let invocation = Invocation::of(operation, None, &context, calls, Duration::ZERO);
            assert_eq!(invocation.trace_id(), id, "{header}");
        }
    }
}
