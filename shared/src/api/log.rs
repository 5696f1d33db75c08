//! What the log says of an invocation: failures, what a mutation did, and what a scheduled run found. The sweep's lines about each
//! worker are in its report.

use std::cmp::Reverse;

use crate::api::audit::{self, Audit, LogLine};
use crate::api::invocation::Invocation;
use crate::api::request;
use crate::error::Error;
use crate::error::problem::code_name;
use crate::model::document::{Document, Notice, outcome};

/// Writes the lines of one invocation, with what an operator needs to find it again: one for each failure, and one for each
/// instance that a mutation was about, changed or not. No line has a body, a tag value or a credential.
///
/// What has no caller has its answer in the log. The answer of a failed check is always logged, and so is each warning.
pub(super) fn log<D: Document>(invocation: &Invocation<'_>, result: &Result<D, Error>) {
    if let Ok(document) = result {
        log_document(invocation, document);
    }
    let request = invocation.request;
    let mutation = request.filter(|_| invocation.operation.is_mutation());
    let audit = mutation.map(|request| Audit::of(invocation, request));
    let lines = audit::lines(invocation, result);
    // Only an error's text can quote them.
    let is_quoting = lines.iter().any(|line| line.error.is_some());
    let quoted = request.filter(|_| is_quoting);
    let values = quoted.map(|request| request::tag_values(request, invocation.body())).unwrap_or_default();
    for line in lines {
        write(invocation, audit.as_ref(), &line, &values);
    }
}

fn log_document<D: Document>(invocation: &Invocation<'_>, document: &D) {
    let (request_id, function) = (invocation.request_id(), invocation.function());
    let is_scheduled = invocation.request.is_none_or(request::is_scheduled);
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

fn write(invocation: &Invocation<'_>, audit: Option<&Audit>, line: &LogLine<'_>, tag_values: &[String]) {
    // The level is part of what the macro makes static, so that the fields stand in a macro and not in a function.
    macro_rules! event {
        ($level:ident, $text:expr) => {
            tracing::$level!(
                request_id = invocation.request_id(),
                trace_id = invocation.trace_id(),
                function = invocation.function(),
                operation = invocation.operation.name,
                region = invocation.request.and_then(|request| request::path_parameter(request, "region")),
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
        None => event!(info, invocation.operation.name),
    }
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
