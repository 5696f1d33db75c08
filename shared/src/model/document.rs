//! What the answers of all operations have in common.

use serde::Serialize;

use crate::error::Error;
use crate::model::instance_id::InstanceId;

/// The answer of an operation, with the HTTP status and location that belong to it.
pub trait Document: Serialize {
    /// The body. Errors in the body carry the request id, as every error does.
    ///
    /// # Errors
    /// If the document cannot be written as JSON, which would be a bug in this crate.
    fn json(&self, _request_id: &str) -> serde_json::Result<String> {
        serde_json::to_string(self)
    }

    /// The instances for which a call on many instances failed, with their errors, for the log.
    fn failures(&self) -> Vec<(&InstanceId, &Error)> {
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
        assert_eq!((plain.status(), plain.location(), plain.failures().len()), (200, None, 0));
    }
}
