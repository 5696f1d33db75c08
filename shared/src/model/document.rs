//! What every answer has, whatever it is about.

use serde::Serialize;

use crate::error::Error;
use crate::model::instance_id::InstanceId;

/// What an operation answers, and the little that HTTP adds to it.
pub trait Document: Serialize {
    /// The body. Errors in it carry the request id, as every error does.
    ///
    /// # Errors
    /// If the document is no JSON: a fault of this crate.
    fn json(&self, _request_id: &str) -> serde_json::Result<String> {
        serde_json::to_string(self)
    }

    /// The instances that failed while others did not, for the log.
    fn failures(&self) -> Vec<(&InstanceId, &Error)> {
        Vec::new()
    }

    /// The HTTP status.
    fn status(&self) -> u16 {
        200
    }

    /// The path of what was made, below the path that was called.
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
    fn a_document_is_its_own_json_and_a_200_unless_it_says_otherwise() {
        let plain = Plain { a: 1 };
        assert_eq!(plain.json("request-1").unwrap(), r#"{"a":1}"#);
        assert_eq!((plain.status(), plain.location(), plain.failures().len()), (200, None, 0));
    }
}
