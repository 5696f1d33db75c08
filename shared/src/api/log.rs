//! The one place where functions log: failures, what mutations did, and what a scheduled run found.

use std::cmp::Reverse;

use lambda_http::Context;

use crate::api::audit::{self, Audit, Line};
use crate::api::request;
use crate::aws::calls::Calls;
use crate::error::Error;
use crate::error::problem::code_name;
use crate::model::document::{Document, Notice, outcome};
use crate::model::operation::Operation;

/// Writes the lines of one request, with what an operator needs to find it again: one for each failure, and one for each
/// instance that a mutation was about, changed or not. No line has a body, a tag value or a credential.
///
/// A scheduled health check has no caller, so its answer is logged. The answer of a failed check is always logged, and so is each
/// warning.
pub(super) fn log<D: Document>(
    operation: &Operation,
    event: &lambda_http::Request,
    context: &Context,
    result: &Result<D, Error>,
    calls: &Calls,
) {
    if let Ok(document) = result {
        log_document(request::is_scheduled(event), context, document);
    }
    let audit = operation.is_mutation().then(|| Audit::of(event));
    let lines = audit::lines(operation, event, result, calls);
    // Only an error's text can quote them.
    let values = if lines.iter().any(|line| line.error.is_some()) { request::tag_values(event) } else { Vec::new() };
    for line in lines {
        write(operation, context, request::path_parameter(event, "region"), audit.as_ref(), &line, &values);
    }
}

/// Writes the line of an invocation that no request made, and that failed.
pub(super) fn log_failure(operation: &Operation, context: &Context, error: &Error) {
    write(operation, context, None, None, &Line::failure(error), &[]);
}

fn log_document<D: Document>(is_scheduled: bool, context: &Context, document: &D) {
    let (request_id, function) = (&context.request_id, &context.env_config.function_name);
    let json = || document.json(request_id).unwrap_or_else(|error| error.to_string());
    if document.status() >= 500 {
        tracing::error!(request_id, function, "answered {}", json());
    } else if is_scheduled {
        tracing::info!(request_id, function, "scheduled, answered {}", json());
    }
    for notice in document.notices() {
        match notice {
            Notice::Warning(text) => tracing::warn!(request_id, function, "{text}"),
            Notice::Info(text) if is_scheduled => tracing::info!(request_id, function, "{text}"),
            Notice::Info(_) => {}
        }
    }
}

fn write(
    operation: &Operation,
    context: &Context,
    region: Option<&str>,
    audit: Option<&Audit>,
    line: &Line<'_>,
    tag_values: &[String],
) {
    // The level is part of what the macro makes static, so that the fields stand in a macro and not in a function.
    macro_rules! event {
        ($level:ident, $text:expr) => {
            tracing::$level!(
                request_id = &context.request_id,
                trace_id = context.xray_trace_id.as_deref().and_then(root),
                function = &context.env_config.function_name,
                operation = operation.name,
                region,
                instance_id = line.instance_id.as_deref(),
                audit = audit.map(|_| true),
                caller = audit.and_then(|audit| audit.caller.as_deref()),
                dry_run = audit.map(|audit| audit.is_dry_run),
                idempotency_key = audit.map(|audit| audit.has_key),
                outcome = audit.map(|_| outcome(line.error.is_some(), line.changed)),
                changed = audit.and(line.changed),
                code = line.error.and_then(|error| code_name(error.code).ok()),
                aws_code = line.error.and_then(Error::aws_code),
                aws_request_id = line.aws_request_id.as_deref(),
                missing_permission = line.error.and_then(Error::missing_permission),
                "{}",
                $text
            )
        };
    }
    match line.error {
        // EC2 quotes the values that it refuses.
        Some(error) => event!(error, without_values(&error.detail, tag_values.to_vec())),
        None => event!(info, operation.name),
    }
}

/// The id of the trace, out of the header that Lambda passes on: `Root=1-…;Parent=…;Sampled=1`.
fn root(header: &str) -> Option<&str> {
    header.split(';').find_map(|part| part.strip_prefix("Root="))
}

/// What the log shows instead of a tag value.
const MASK: &str = "[tag value]";

/// The text with these tag values masked where they are whole words: a tag value can hold something that no log should show.
fn without_values(text: &str, mut values: Vec<String>) -> String {
    // A value can be part of another one, so the longer ones come first.
    values.sort_by_key(|value| Reverse(value.len()));
    values.iter().filter(|value| !value.is_empty()).fold(text.to_owned(), |text, value| without_value(&text, value))
}

fn without_value(text: &str, value: &str) -> String {
    let mut pieces = text.split(value);
    let mut masked = pieces.next().unwrap_or_default().to_owned();
    for after in pieces {
        let of_a_word = one_word(&masked, value) || one_word(value, after);
        masked.push_str(if of_a_word { value } else { MASK });
        masked.push_str(after);
    }
    masked
}

/// Whether two texts meet inside a word. A tag value `a` is no reason to mask every `a`.
fn one_word(left: &str, right: &str) -> bool {
    left.ends_with(char::is_alphanumeric) && right.starts_with(char::is_alphanumeric)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_of_the_header_is_the_traces_id() {
        let header = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1;Lineage=a87bd80c:0";
        assert_eq!(root(header), Some("1-5759e988-bd862e3fe1be46a994272793"));
        assert_eq!(root("Parent=53995c3f42cd8ad8;Root=1-2"), Some("1-2"));
        assert_eq!(root(""), None);
    }

    #[test]
    fn values_are_masked_where_they_stand_as_words() {
        let masked = |values: &[&str]| {
            let text = "Value (s3cret) for Tag.1 is a bad s3cret=s3cret. No s3crets, no café";
            without_values(text, values.iter().map(|value| (*value).to_owned()).collect())
        };
        assert_eq!(
            masked(&["s3cret"]),
            "Value ([tag value]) for Tag.1 is a bad [tag value]=[tag value]. No s3crets, no café"
        );
        assert_eq!(masked(&["a"]), "Value (s3cret) for Tag.1 is [tag value] bad s3cret=s3cret. No s3crets, no café");
        assert_eq!(
            masked(&["bad", "a bad s3cret", ""]),
            "Value (s3cret) for Tag.1 is [tag value]=s3cret. No s3crets, no café"
        );
        assert_eq!(masked(&["no café"]), "Value (s3cret) for Tag.1 is a bad s3cret=s3cret. No s3crets, [tag value]");
    }
}
