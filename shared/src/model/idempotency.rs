//! The caller's `Idempotency-Key`: the same key and body launch once, however often they are sent.
//!
//! EC2 keeps its side of it by `ClientToken`. A token that is derived from the key makes EC2 refuse a second launch, and
//! makes the first one findable: by the filter `client-token`, before anything else is asked.

use std::time::Duration;

use aws_sdk_ec2::types::{self, Filter};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::aws::clients::Clients;
use crate::aws::deadline;
use crate::error::{Code, Error};
use crate::input::checked_string;
use crate::model::instance::Instance;
use crate::model::launch::MAX_ATTEMPTS;
use crate::model::region::Region;
use crate::model::tags::FINGERPRINT_KEY;
use crate::model::wait::{SHOWN_EVERY, once_shown};

checked_string! {
    /// The header `Idempotency-Key`.
    IdempotencyKey,
    schema(pattern = r"^[!-~]{1,64}$"),
    |key| if (1..=64).contains(&key.len()) && key.bytes().all(|b| (b'!'..=b'~').contains(&b)) { Ok(()) } else {
        Err("must have 1 to 64 printable ASCII characters without spaces")
    }
}

/// How far EC2's reads lag behind its writes at most: an assumption, and the only one about them that an answer rests on.
pub const MOST_LAG: Duration = Duration::from_secs(15);

/// How often a request gets other tokens, after those it had turned out to be bound to a launch that never was.
///
/// Being sure takes [`MOST_LAG`], and an invocation has time for that once.
pub(crate) const GENERATIONS: usize = 2;

/// One request that may be sent again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replay {
    /// Key, region and caller in one: another caller's key is another key.
    scope: String,
    /// The body, whatever the order of its members.
    pub fingerprint: String,
}

impl Replay {
    /// The request of `caller` with this key and body.
    #[must_use]
    pub fn new(key: &IdempotencyKey, region: &Region, caller: Option<&str>, body: &Value) -> Self {
        // The NUL cannot be part of a region or of a key, so no two triples write the same text.
        let scope = hex(&format!("{region}\0{key}\0{}", caller.unwrap_or_default()));
        // Of the scope too: whoever reads the tag must not find the body out by trying.
        let fingerprint = hex(&format!("{scope}\0{}", canonical(body))).chars().take(32).collect();
        Self { scope, fingerprint }
    }

    /// The `ClientToken` of the nth try: EC2 takes 64 characters.
    ///
    /// A later generation has other tokens: EC2 can bind those of an earlier one to a launch that failed.
    #[must_use]
    pub fn token(&self, attempt: usize, generation: usize) -> String {
        match generation {
            0 => hex(&format!("{} {attempt}", self.scope)),
            _ => hex(&format!("{} {attempt} {generation}", self.scope)),
        }
    }

    /// What earlier sendings of this request launched; nothing if there were none. More than one instance is there only if
    /// they knew nothing of each other. What other bodies launched with the same key is not of this request.
    ///
    /// # Errors
    /// [`Code::IdempotencyMismatch`] if the key was used with another body only, or if what it launched is gone.
    pub async fn find(&self, clients: &Clients, region: &Region) -> Result<Vec<Instance>, Error> {
        let mut launched = self.launched(clients, region).await?;
        // EC2 takes the tags of what is terminated away: what is gone need not be anybody's to be gone.
        if !launched.iter().any(|found| self.is_ours(found) && !found.is_gone())
            && let Some(untagged) = launched.iter().find(|found| !is_tagged(found) && !found.is_gone())
        {
            launched = self.once_tagged(clients, region, &untagged.instance_id).await?;
        }
        let (ours, others): (Vec<_>, Vec<_>) = launched.into_iter().partition(|found| self.is_ours(found));
        ours.first().or(others.first()).map_or(Ok(()), |first| self.check(first))?;
        Ok(ours)
    }

    /// What earlier sendings launched, looked for as long as EC2's reads can lag behind them; nothing if it is sure that
    /// there is nothing.
    ///
    /// # Errors
    /// As [`Self::find`]; one that is worth a retry if there is no time to be sure.
    pub async fn find_for_sure(&self, clients: &Clients, region: &Region) -> Result<Vec<Instance>, Error> {
        let sure = Instant::now() + MOST_LAG;
        let looks = async {
            loop {
                let is_sure = Instant::now() >= sure;
                let launched = self.find(clients, region).await?;
                if is_sure || !launched.is_empty() {
                    return Ok(launched);
                }
                sleep_until(sure.min(Instant::now() + SHOWN_EVERY)).await;
            }
        };
        timeout_at(deadline::last_word(), looks).await.unwrap_or_else(|_| {
            let detail = "This Idempotency-Key was used before, and no read shows yet what for";
            Err(Error::new(Code::IdempotencyMismatch, detail).passing())
        })
    }

    /// Whether an instance was launched for this very request.
    #[must_use]
    pub fn is_ours(&self, found: &Instance) -> bool {
        found.tags.get(FINGERPRINT_KEY) == Some(&self.fingerprint)
    }

    /// EC2 can show an instance before its tags: until then nobody knows whose request launched it.
    async fn once_tagged(&self, clients: &Clients, region: &Region, id: &str) -> Result<Vec<Instance>, Error> {
        let look = async || {
            let launched = self.launched(clients, region).await?;
            let is_known = launched.iter().all(|found| is_tagged(found) || found.is_gone());
            Ok(Some(launched).filter(|launched| is_known && !launched.is_empty()))
        };
        once_shown(look).await?.ok_or_else(|| untagged(id))
    }

    /// Everything that this key launched, in any try: another body may have had more of them. What is not gone comes first,
    /// and of that what was tried first.
    ///
    /// # Errors
    /// What EC2 refuses.
    pub async fn launched(&self, clients: &Clients, region: &Region) -> Result<Vec<Instance>, Error> {
        let of_generation = |generation| (0..MAX_ATTEMPTS).map(move |attempt| self.token(attempt, generation));
        let tokens: Vec<String> = (0..GENERATIONS).flat_map(of_generation).collect();
        let filter = Filter::builder().name("client-token").set_values(Some(tokens.clone())).build();
        let answer = clients.ec2(region)?.describe_instances().filters(filter).send().await?;
        // Compared once more: what is answered here is taken for the caller's own.
        let attempt = |instance: &types::Instance| tokens.iter().position(|own| instance.client_token() == Some(own));
        let instances = answer.reservations().iter().flat_map(|reservation| reservation.instances());
        let mut ours: Vec<(bool, usize, Instance)> = instances
            .filter_map(|instance| {
                let attempt = attempt(instance)?;
                let instance = Instance::from_ec2(instance, region, clients);
                Some((instance.is_gone(), attempt, instance))
            })
            .collect();
        ours.sort_by_key(|(is_gone, attempt, _)| (*is_gone, *attempt));
        Ok(ours.into_iter().map(|(_, _, instance)| instance).collect())
    }

    /// Whether what EC2 answers to a launch under this key was launched for this request, now if it is `new`.
    ///
    /// # Errors
    /// As [`Self::check`]; one that is worth a retry if it has no tags yet.
    pub fn check_answer(&self, answered: &Instance, new: bool) -> Result<(), Error> {
        if is_tagged(answered) || answered.is_gone() {
            return self.check(answered);
        }
        if new { Ok(()) } else { Err(untagged(&answered.instance_id)) }
    }

    /// Whether an instance that this key launched is an answer to this request.
    ///
    /// # Errors
    /// [`Code::IdempotencyMismatch`] if it is another request's, or gone.
    pub fn check(&self, found: &Instance) -> Result<(), Error> {
        let id = &found.instance_id;
        let refused = if is_tagged(found) && !self.is_ours(found) {
            format!("This Idempotency-Key launched {id} for another request: use a new key for a new request")
        } else if found.is_gone() {
            format!("This request launched {id}, which is {} by now: use a new key to launch another", found.state)
        } else {
            return Ok(());
        };
        Err(Error::new(Code::IdempotencyMismatch, refused))
    }
}

fn untagged(id: &str) -> Error {
    let detail = format!("This Idempotency-Key launched {id}, and no read shows yet for which request");
    Error::new(Code::IdempotencyMismatch, detail).passing()
}

fn is_tagged(instance: &Instance) -> bool {
    instance.tags.contains_key(FINGERPRINT_KEY)
}

fn hex(text: &str) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// JSON with its members in order and without those that are null, which are absent to every reader: the same body, whoever
/// wrote it down.
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

    fn replay(key: &str, caller: &str, body: &Value) -> Replay {
        Replay::new(&IdempotencyKey::try_from(key.to_owned()).unwrap(), &region(), Some(caller), body)
    }

    #[test]
    fn a_token_is_one_keys_one_callers_and_one_attempts() {
        let body = serde_json::json!({"name": "a"});
        let first = replay("k", "AIDA1", &body);
        assert_eq!((first.token(0, 0), first.token(0, 0).len()), (replay("k", "AIDA1", &body).token(0, 0), 64));
        let others =
            [first.token(1, 0), replay("l", "AIDA1", &body).token(0, 0), replay("k", "AIDA2", &body).token(0, 0)];
        assert!(others.iter().all(|other| *other != first.token(0, 0)));
    }

    #[test]
    fn a_body_is_the_same_in_any_order() {
        let one: Value = serde_json::from_str(r#"{"a": {"c": [1, 2], "d": "x"}, "b": null}"#).unwrap();
        let other: Value = serde_json::from_str(r#"{"b": null, "a": {"d": "x", "c": [1, 2]}}"#).unwrap();
        assert_eq!(replay("k", "c", &one).fingerprint, replay("k", "c", &other).fingerprint);
        let absent: Value = serde_json::json!({"a": {"c": [1, 2], "d": "x"}});
        assert_eq!(replay("k", "c", &one).fingerprint, replay("k", "c", &absent).fingerprint);
        let different: Value = serde_json::from_str(r#"{"b": null, "a": {"d": "x", "c": [2, 1]}}"#).unwrap();
        assert_ne!(replay("k", "c", &one).fingerprint, replay("k", "c", &different).fingerprint);
    }

    #[test]
    fn keys_are_printable_and_short() {
        for (key, good) in
            [("a", true), (&"x".repeat(64), true), (&"x".repeat(65), false), ("", false), ("a b", false), ("ü", false)]
        {
            assert_eq!(IdempotencyKey::try_from(key.to_owned()).is_ok(), good, "{key}");
        }
    }
}
