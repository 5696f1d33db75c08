//! What the answers of all operations have in common.

use serde::Serialize;

use crate::error::Error;
use crate::model::measurement::Measurement;

/// The answer of an operation, with the HTTP status and location that belong to it.
pub trait Document: Serialize {
    /// The body. Errors in the body carry the request id, as every error does.
    ///
    /// # Errors
    /// If the document cannot be written as JSON, which would be a bug in this crate.
    fn json(&self, _request_id: &str) -> serde_json::Result<String> {
        serde_json::to_string(self)
    }

    /// What a mutation did to each instance, for the log and the metrics. None if the answer does not tell it.
    fn effects(&self) -> Vec<Effect<'_>> {
        Vec::new()
    }

    /// The error for which the invocation counts as failed although there is an answer. Only what no request asks for has one.
    fn failure(&self) -> Option<&Error> {
        None
    }

    /// What the log says beside the document: of a scheduled run all of it, of another one the warnings.
    fn notices(&self) -> Vec<Notice> {
        Vec::new()
    }

    /// What CloudWatch keeps of the answer, beside the numbers of each invocation.
    fn measurements(&self) -> Vec<Measurement> {
        Vec::new()
    }

    /// The HTTP status.
    fn status(&self) -> u16 {
        200
    }

    /// The path of the new resource, below the path that was called.
    fn location(&self) -> Option<&str> {
        None
    }
}

/// What a mutation did to one instance.
#[derive(Debug, Clone)]
pub struct Effect<'a> {
    /// The instance.
    pub instance_id: &'a str,
    /// Whether it was changed, or the error that prevented it.
    pub result: Result<bool, &'a Error>,
}

/// How a mutation ended, in a word to search the log for.
#[must_use]
pub(crate) fn outcome(failed: bool, changed: Option<bool>) -> &'static str {
    match (failed, changed) {
        (false, _) => "done",
        (true, Some(_)) => "failed",
        (true, None) => "unknown",
    }
}

/// A sentence for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// All is well.
    Info(String),
    /// Somebody should look at it.
    Warning(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Plain {
        a: u8,
    }

    impl Document for Plain {}

    #[test]
    fn a_document_is_by_default_its_own_json_with_status_200() {
        let plain = Plain { a: 1 };
        assert_eq!(plain.json("request-1").unwrap(), r#"{"a":1}"#);
        assert_eq!((plain.status(), plain.location(), plain.effects().len()), (200, None, 0));
        assert_eq!((plain.notices().len(), plain.measurements().len()), (0, 0));
    }
}
