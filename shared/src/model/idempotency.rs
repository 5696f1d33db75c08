//! The caller's `Idempotency-Key`: a request with the same key and body launches once, however often it is sent.
//!
//! EC2 has the `ClientToken` for this. We derive it from the key. With it EC2 refuses a second launch, and the filter
//! `client-token` finds the first launch, which we look for before we ask EC2 anything else.

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::error::{Code, Error};
use crate::model::idempotency_key::IdempotencyKey;
use crate::model::instance::Instance;
use crate::model::region::Region;
use crate::model::tags::FINGERPRINT_KEY;

/// One request that may be sent again, because it has a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyedRequest {
    /// Key, region and caller in one hash. The same key of two callers gives two scopes.
    scope: String,
    /// A hash of the scope and the body, whatever the order of the body's members.
    pub fingerprint: String,
}

impl KeyedRequest {
    /// The request of `caller` with this key and body.
    #[must_use]
    pub fn new(key: &IdempotencyKey, region: &Region, caller: Option<&str>, body: &Value) -> Self {
        // The NUL cannot be part of a region or of a key, so no two triples write the same text.
        let scope = hex(&format!("{region}\0{key}\0{}", caller.unwrap_or_default()));
        // The scope is hashed, too, so that a reader of the tag cannot find out the body by trying.
        let fingerprint = hex(&format!("{scope}\0{}", canonical(body))).chars().take(32).collect();
        Self { scope, fingerprint }
    }

    /// The `ClientToken` of the nth try. EC2 accepts 64 characters.
    ///
    /// A later generation has other tokens, because EC2 can bind those of an earlier generation to a launch that failed.
    #[must_use]
    pub fn token(&self, attempt: usize, generation: usize) -> String {
        match generation {
            0 => hex(&format!("{} {attempt}", self.scope)),
            _ => hex(&format!("{} {attempt} {generation}", self.scope)),
        }
    }

    /// Whether an instance was launched for this very request.
    #[must_use]
    pub fn is_ours(&self, found: &Instance) -> bool {
        found.tags.get(FINGERPRINT_KEY) == Some(&self.fingerprint)
    }

    /// Checks that the instance in EC2's answer was launched for this request. `new` tells that it was launched just now.
    ///
    /// # Errors
    /// As [`Self::check`]; one that is worth a retry if an older instance shows no tags yet.
    pub fn check_answer(&self, answered: &Instance, new: bool) -> Result<(), Error> {
        if is_tagged(answered) || answered.is_gone() {
            return self.check(answered);
        }
        if new { Ok(()) } else { Err(untagged(&answered.instance_id)) }
    }

    /// Checks that an instance that this key launched is an answer to this request.
    ///
    /// # Errors
    /// [`Code::IdempotencyMismatch`] if the instance was launched for another request, or is gone.
    pub fn check(&self, found: &Instance) -> Result<(), Error> {
        let id = &found.instance_id;
        let refused = if is_tagged(found) && !self.is_ours(found) {
            format!("This Idempotency-Key launched {id} for another request: use a new key for a new request")
        } else if found.is_gone() {
            format!(
                "This request launched {id}, which is {} by now: use a new key to launch another instance",
                found.state
            )
        } else {
            return Ok(());
        };
        Err(Error::new(Code::IdempotencyMismatch, refused))
    }
}

pub(crate) fn untagged(id: &str) -> Error {
    let detail = format!(
        "This Idempotency-Key launched {id}, but no read of EC2 shows yet which request launched it: send the same request \
         again"
    );
    Error::new(Code::IdempotencyMismatch, detail).retryable()
}

pub(crate) fn is_tagged(instance: &Instance) -> bool {
    instance.tags.contains_key(FINGERPRINT_KEY)
}

fn hex(text: &str) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// JSON with its members in order, and without members that are null, because every reader takes those as absent. The same
/// body gives the same text, whoever wrote it.
fn canonical(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let given = members.iter().filter(|(_, value)| !value.is_null());
            let mut members: Vec<String> =
                given.map(|(name, value)| format!("{}:{}", Value::from(name.as_str()), canonical(value))).collect();
            members.sort();
            format!("{{{}}}", members.join(","))
        }
        Value::Array(elements) => {
            let elements: Vec<String> = elements.iter().map(canonical).collect();
            format!("[{}]", elements.join(","))
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::region;

    fn keyed_request(key: &str, caller: &str, body: &Value) -> KeyedRequest {
        KeyedRequest::new(&IdempotencyKey::try_from(key.to_owned()).unwrap(), &region(), Some(caller), body)
    }

    #[test]
    fn a_token_is_one_keys_one_callers_and_one_attempts() {
        let body = serde_json::json!({"name": "a"});
        let first = keyed_request("k", "AIDA1", &body);
        assert_eq!((first.token(0, 0), first.token(0, 0).len()), (keyed_request("k", "AIDA1", &body).token(0, 0), 64));
        let others = [
            first.token(1, 0),
            keyed_request("l", "AIDA1", &body).token(0, 0),
            keyed_request("k", "AIDA2", &body).token(0, 0),
        ];
        assert!(others.iter().all(|other| *other != first.token(0, 0)));
    }

    #[test]
    fn a_body_is_the_same_in_any_order() {
        let one: Value = serde_json::from_str(r#"{"a": {"c": [1, 2], "d": "x"}, "b": null}"#).unwrap();
        let other: Value = serde_json::from_str(r#"{"b": null, "a": {"d": "x", "c": [1, 2]}}"#).unwrap();
        assert_eq!(keyed_request("k", "c", &one).fingerprint, keyed_request("k", "c", &other).fingerprint);
        let absent: Value = serde_json::json!({"a": {"c": [1, 2], "d": "x"}});
        assert_eq!(keyed_request("k", "c", &one).fingerprint, keyed_request("k", "c", &absent).fingerprint);
        let different: Value = serde_json::from_str(r#"{"b": null, "a": {"d": "x", "c": [2, 1]}}"#).unwrap();
        assert_ne!(keyed_request("k", "c", &one).fingerprint, keyed_request("k", "c", &different).fingerprint);
    }

    /// The values are those of `us-east-1`, the key `k` and the caller `AIDA1`. A release that made other tokens would
    /// launch again for a key that was used with the release before.
    #[test]
    fn tokens_and_fingerprints_stay_as_they_are() {
        let keyed_request = keyed_request("k", "AIDA1", &serde_json::json!({"name": "a"}));
        assert_eq!(keyed_request.token(0, 0), hex(&format!("{} 0", hex("us-east-1\0k\0AIDA1"))));
        assert_eq!(keyed_request.token(3, 1), hex(&format!("{} 3 1", hex("us-east-1\0k\0AIDA1"))));
        assert_eq!(keyed_request.token(0, 0), "647587b9e5c4fd87180ccdfac3a8a93da822c4f92a82b946ee527c024f85951d");
        assert_eq!(keyed_request.fingerprint, "ce8b9bbb975ae333ec4479d5385c507d");
    }
}
