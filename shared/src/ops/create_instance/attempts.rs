//! Tries one attempt after the other, until EC2 has capacity.

use aws_sdk_ec2::operation::run_instances::{RunInstancesError, RunInstancesOutput};
use tokio::time::timeout_at;

use super::attempt::{Attempt, FailedAttempt};
use super::launched::{Launched, unnamed};
use super::launching::Launching;
use super::request::run_instances;
use crate::aws::deadline;
use crate::aws::doubt::Doubt;
use crate::aws::errors::{IamAction, timeout};
use crate::aws::instances::shown;
use crate::error::{Code, Error};
use crate::input::{FieldError, Invalid};
use crate::model::image::LaunchImage;
use crate::model::instance::Instance;
use crate::model::launch::Launch;

impl Launching<'_> {
    /// Sends one attempt after the other. It goes on to the next one only if EC2 has no capacity.
    pub(super) async fn first_with_capacity(&self, image: &LaunchImage, generation: usize) -> Result<Launched, Error> {
        let mut failed = Vec::new();
        let attempts = Attempt::all(self.launch);
        for (number, attempt) in attempts.iter().enumerate() {
            if deadline::is_near() {
                let detail = "There was no time left to launch, so nothing was launched: send the request again";
                return Err(after(&failed, Error::new(Code::AwsTimeout, detail)));
            }
            let token = self.caller.keyed_request.as_ref().map(|keyed_request| keyed_request.token(number, generation));
            let doubt = Doubt::default();
            match self.launch_as(attempt, image, token, doubt.clone()).await {
                Ok(None) => return Err(unnamed()),
                Ok(Some((instance, created))) => {
                    if let Some(keyed_request) = &self.caller.keyed_request {
                        // EC2 keeps a token for longer than it shows the instance that was launched with it, and may answer
                        // with success even if the parameters differ. Then the instance is another request's.
                        keyed_request.check_answer(&instance, created)?;
                    }
                    let warnings = self.launch.warnings(&attempt.instance_type);
                    return Ok(Launched { instance, warnings, failed_attempts: failed, created, is_read: false });
                }
                // If one of the SDK's tries may have launched, a launch of another type could be a second worker.
                Err(error) if doubt.is_there() || !others_may_do(&error) || number + 1 == attempts.len() => {
                    let error = self.as_repeatable(of_attempt(error, attempt, self.launch), &doubt);
                    return Err(after(&failed, error));
                }
                Err(error) => failed.push(attempt.failed(&error)),
            }
        }
        Err(unnamed())
    }

    /// Sends one attempt, and reads the instance of EC2's answer, if the answer names one. Also tells whether the instance
    /// was launched now: EC2 may know the token from another sending, which the look-up did not find.
    async fn launch_as(
        &self,
        attempt: &Attempt,
        image: &LaunchImage,
        token: Option<String>,
        doubt: Doubt,
    ) -> Result<Option<(Instance, bool)>, Error> {
        let sent = self.clients.now();
        let call = run_instances(self, attempt, image).set_client_token(token).customize().interceptor(doubt);
        let answer: RunInstancesOutput =
            timeout_at(deadline::last_word(), call.send()).await.map_err(|_| timeout(RunInstancesError::NAME))??;
        let Some(instance) = answer.instances.into_iter().flatten().next() else { return Ok(None) };
        let instance = shown(self.clients, self.region, instance);
        let created = instance.launch_time.is_none() || instance.is_launched_since(sent);
        Ok(Some((Instance { image_name: image.name.clone(), ..instance }, created)))
    }

    /// Marks an error as not retryable if there is no key and EC2 may have launched already: without a key another sending
    /// is another launch.
    fn as_repeatable(&self, error: Error, doubt: &Doubt) -> Error {
        if self.caller.keyed_request.is_some() || !(error.may_have_happened() || doubt.is_there()) {
            return error;
        }
        let advice = "without an Idempotency-Key the same call could launch another instance: list the instances before you \
                      send the request again";
        Error { detail: format!("{} ({advice})", error.detail), retryable: false, ..error }
    }
}

/// The error, with the field from which this try took its type or subnet.
fn of_attempt(error: Error, attempt: &Attempt, launch: &Launch) -> Error {
    let Some((index, given)) = attempt.alternative.and_then(|index| Some((index, launch.alternatives.get(index)?)))
    else {
        return error;
    };
    let field = match (error.fields.errors().first(), error.aws_code()) {
        (Some(FieldError { field, .. }), _) if field == "instance_type" && given.instance_type.is_some() => {
            ".instance_type"
        }
        (Some(FieldError { field, .. }), _) if field == "subnet_id" && given.subnet_id.is_some() => ".subnet_id",
        // The error is about type, subnet and image together; EC2 does not say which of them is wrong.
        (None, Some("Unsupported" | "UnsupportedOperation")) => "",
        _ => return error,
    };
    let fields = Invalid::field(format!("alternatives[{index}]{field}"), &error.detail);
    Error { fields, ..error }
}

/// Whether another type, subnet or market can have what this one lacks. A quota of Spot instances concerns only the Spot market.
fn others_may_do(error: &Error) -> bool {
    error.code == Code::InsufficientCapacity || error.aws_code() == Some("MaxSpotInstanceCountExceeded")
}

/// The last error, with the tries before it in its text.
fn after(failed: &[FailedAttempt], error: Error) -> Error {
    if failed.is_empty() {
        return error;
    }
    let before: Vec<String> = failed
        .iter()
        .map(|attempt| format!("{} ({}): {}", attempt.instance_type, attempt.lifecycle, attempt.detail))
        .collect();
    // AWS's messages end with a full stop, and our own do not.
    let last = error.detail.trim_end_matches('.');
    Error { detail: format!("{last}. Before that, these attempts failed: {}", before.join("; ")), ..error }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::idempotency::KeyedRequest;
    use crate::ops::create_instance::caller::Caller;
    use crate::testing::{clients, region};

    #[test]
    fn a_launch_that_may_have_happened_is_retryable_only_with_a_key() {
        let body = json!({"name": "a", "instance_type": "c5.large"});
        let launch: Launch = deserr::deserialize::<_, _, Invalid>(body.clone()).unwrap();
        let keyed_request = KeyedRequest::new(&"k".to_owned().try_into().unwrap(), &region(), None, &body);
        let (clients, region) = (clients(&[]), region());
        let retryable = |keyed_request, code| {
            let caller = Caller { arn: None, keyed_request };
            let launching = Launching::new(&clients, &region, &launch, &caller).unwrap();
            launching.as_repeatable(Error::new(code, ""), &Doubt::default()).retryable
        };
        assert!(retryable(Some(keyed_request), Code::AwsTimeout));
        assert!(!retryable(None, Code::AwsTimeout));
        assert!(retryable(None, Code::InsufficientCapacity));
    }
}
