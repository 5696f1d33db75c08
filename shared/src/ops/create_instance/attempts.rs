//! What a launch tries, one after the other, until EC2 has capacity.

use aws_sdk_ec2::operation::run_instances::RunInstancesError;
use serde::Serialize;
use tokio::time::timeout_at;

use super::request::run_instances;
use super::{Caller, Launched};
use crate::aws::clients::Clients;
use crate::aws::deadline;
use crate::aws::doubt::Doubt;
use crate::error::{Code, Denied, Error, timeout};
use crate::input::{FieldError, Invalid};
use crate::model::image::LaunchImage;
use crate::model::instance::{Instance, InstanceType};
use crate::model::launch::{Launch, SubnetId};
use crate::model::region::Region;

/// One thing to try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Attempt {
    pub instance_type: InstanceType,
    pub subnet_id: Option<SubnetId>,
    pub spot: bool,
}

impl Attempt {
    /// What a launch asks for itself.
    pub(crate) fn first(launch: &Launch) -> Self {
        let spot = launch.spot.is_some();
        Self { instance_type: launch.instance_type.clone(), subnet_id: launch.subnet_id.clone(), spot }
    }

    /// Everything to try, in order: as asked, the alternatives, and all of it on-demand if spot may fall back.
    pub(super) fn all(launch: &Launch) -> Vec<Self> {
        let first = Self::first(launch);
        let alternatives = launch.alternatives.iter().map(|other| Self {
            instance_type: other.instance_type.clone().unwrap_or_else(|| first.instance_type.clone()),
            subnet_id: other.subnet_id.clone().or_else(|| first.subnet_id.clone()),
            spot: first.spot,
        });
        let asked: Vec<Self> = std::iter::once(first.clone()).chain(alternatives).collect();
        let on_demand =
            asked.clone().into_iter().filter(|_| launch.on_demand_fallback).map(|a| Self { spot: false, ..a });
        asked.iter().cloned().chain(on_demand).collect()
    }

    fn failed(&self, error: &Error) -> FailedAttempt {
        FailedAttempt {
            instance_type: self.instance_type.to_string(),
            subnet_id: self.subnet_id.as_ref().map(ToString::to_string),
            lifecycle: if self.spot { "spot" } else { "on-demand" },
            aws_code: error.aws_code().map(str::to_owned),
            detail: error.detail.clone(),
        }
    }
}

/// One try that found no capacity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FailedAttempt {
    /// The type.
    pub instance_type: String,
    /// The subnet, if one was named.
    pub subnet_id: Option<String>,
    /// `on-demand` or `spot`.
    pub lifecycle: &'static str,
    /// EC2's code.
    pub aws_code: Option<String>,
    /// EC2's words.
    pub detail: String,
}

/// Tries one after the other, on to the next only where EC2 has no capacity.
pub(super) async fn first_with_capacity(
    clients: &Clients,
    region: &Region,
    launch: &Launch,
    attempts: &[Attempt],
    image: &LaunchImage,
    caller: &Caller,
    generation: usize,
) -> Result<Launched, Error> {
    let ec2 = clients.ec2(region)?;
    let mut failed_attempts = Vec::new();
    for (number, attempt) in attempts.iter().enumerate() {
        if deadline::is_near() {
            let late = Error::new(Code::AwsTimeout, "There was no time left to launch: nothing was launched");
            return Err(after(&failed_attempts, late));
        }
        let call = run_instances(ec2, launch, attempt, image, clients.managed_by(), caller)
            .set_client_token(caller.replay.as_ref().map(|replay| replay.token(number, generation)));
        let late = |_| Err(timeout(RunInstancesError::ACTION));
        let sent = clients.now();
        let doubt = Doubt::default();
        let call = call.customize().interceptor(doubt.clone());
        let answer = timeout_at(deadline::last_word(), call.send()).await.map_or_else(late, |sent| Ok(sent?));
        let error = match answer {
            Ok(answer) => {
                let instance = answer.instances().first().ok_or_else(unnamed)?;
                let instance = Instance::from_ec2(instance, region, clients);
                let instance = Instance { image_name: image.name.clone(), ..instance };
                // Launched before this request asked: EC2 knew the token from another sending, which the look-up did not find.
                let created = instance.launch_time.is_none() || instance.is_launched_since(sent);
                if let Some(replay) = &caller.replay {
                    // EC2 keeps a token for longer than it shows what was launched with it, and may answer other parameters
                    // under it with success: then this is another request's.
                    replay.check_answer(&instance, created)?;
                }
                let warnings = launch.warnings(&attempt.instance_type);
                return Ok(Launched { instance, warnings, failed_attempts, created, is_read: false });
            }
            Err(error) => error,
        };
        // Where one of the SDK's tries may have launched, another type would be a second worker.
        if doubt.is_there() || !others_may_do(&error) || number + 1 == attempts.len() {
            let error = as_repeatable(of_attempt(error, number, launch), caller, &doubt);
            return Err(after(&failed_attempts, error));
        }
        failed_attempts.push(attempt.failed(&error));
    }
    Err(unnamed())
}

/// Without a key another sending is another launch: where EC2 may have launched already it must not be sent as it is.
fn as_repeatable(error: Error, caller: &Caller, doubt: &Doubt) -> Error {
    if caller.replay.is_some() || !(error.leaves_open() || doubt.is_there()) {
        return error;
    }
    let advice = "without an Idempotency-Key the same call could launch another: list the instances first";
    Error { detail: format!("{} ({advice})", error.detail), retryable: false, ..error }
}

/// The error with the field that this try took its type or subnet from.
fn of_attempt(error: Error, number: usize, launch: &Launch) -> Error {
    let index = (number % (1 + launch.alternatives.len())).checked_sub(1);
    let Some((index, given)) = index.and_then(|index| Some((index, launch.alternatives.get(index)?))) else {
        return error;
    };
    let field = match (error.fields.errors().first(), error.aws_code()) {
        (Some(FieldError { field, .. }), _) if field == "instance_type" && given.instance_type.is_some() => {
            ".instance_type"
        }
        (Some(FieldError { field, .. }), _) if field == "subnet_id" && given.subnet_id.is_some() => ".subnet_id",
        // Of type, subnet and image together: which of them is wrong EC2 does not say.
        (None, Some("Unsupported" | "UnsupportedOperation")) => "",
        _ => return error,
    };
    let fields = Invalid::field(format!("alternatives[{index}]{field}"), &error.detail);
    Error { fields, ..error }
}

/// Another type, subnet or market can have what this one has not. A quota of spot instances is one of the spot market's.
fn others_may_do(error: &Error) -> bool {
    error.code == Code::InsufficientCapacity || error.aws_code() == Some("MaxSpotInstanceCountExceeded")
}

/// The last refusal, with what was tried before it.
fn after(failed: &[FailedAttempt], error: Error) -> Error {
    if failed.is_empty() {
        return error;
    }
    let before: Vec<String> = failed
        .iter()
        .map(|attempt| format!("{} ({}): {}", attempt.instance_type, attempt.lifecycle, attempt.detail))
        .collect();
    Error { detail: format!("{} Tried before: {}", error.detail, before.join("; ")), ..error }
}

pub(super) fn unnamed() -> Error {
    let detail = "EC2 accepted the launch but named no instance: list the instances before trying again";
    Error::new(Code::AwsError, detail)
}
