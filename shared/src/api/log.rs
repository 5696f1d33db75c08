//! The one place where failures are logged.

use std::cmp::Reverse;

use lambda_http::Context;

use crate::api::request;
use crate::error::Error;
use crate::model::document::Document;

/// Writes one line per failure, with what an operator needs to find it again. It never writes a body, a tag value or a
/// credential.
///
/// A scheduled health check has no caller, so its answer is logged. The answer of a failed check is always logged.
pub(super) fn log<D: Document>(event: &lambda_http::Request, context: &Context, result: &Result<D, Error>) {
    let (request_id, function) = (&context.request_id, &context.env_config.function_name);
    match result {
        Ok(document) if document.status() >= 500 => {
            tracing::error!(request_id, function, "answered {}", json(context, document));
        }
        Ok(document) if request::is_scheduled(event) => {
            tracing::info!(request_id, function, "scheduled, answered {}", json(context, document));
        }
        Ok(document) => {
            for effect in document.effects() {
                if let Err(error) = effect.changed {
                    log_error(event, context, Some(effect.instance_id), error);
                }
            }
        }
        Err(error) => log_error(event, context, request::path_parameter(event, "instance_id"), error),
    }
}

fn log_error(event: &lambda_http::Request, context: &Context, instance_id: Option<&str>, error: &Error) {
    tracing::error!(
        request_id = &context.request_id,
        function = &context.env_config.function_name,
        region = request::path_parameter(event, "region"),
        instance_id,
        code = ?error.code,
        aws_code = error.aws_code(),
        aws_request_id = error.aws.as_ref().and_then(|aws| aws.request_id.as_deref()),
        missing_permission = error.missing_permission(),
        // EC2 quotes the values that it refuses.
        "{}", without_values(&error.detail, request::tag_values(event))
    );
}

fn json<D: Document>(context: &Context, document: &D) -> String {
    document.json(&context.request_id).unwrap_or_else(|error| error.to_string())
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
