//! Launch a worker.

mod request;

use std::collections::BTreeSet;

use aws_sdk_ec2::operation::run_instances::RunInstancesError;
use serde::Serialize;
use tokio::time::timeout_at;

use crate::clients::Clients;
use crate::deadline;
use crate::error::{Code, Denied, Error, timeout};
use crate::idempotency::Replay;
use crate::image::{self, ImageChoice, ImageVolume, LaunchImage};
use crate::input::{FieldError, Invalid};
use crate::instance::{self, Instance, InstanceId, InstanceType, Worker, managed_count};
use crate::launch::{CreateInstance, Launch, SubnetId};
use crate::mutation::{Mutation, permitted};
use crate::parameter;
use crate::region::Region;
use crate::volume::{Volume, free_names};
use crate::wait::{Progress, SHOWN_WITHIN, UntilUp, Wait, WaitQuery, once_shown};

pub(crate) use request::run_instances;

/// Who asks, and whether the answer can be asked for again.
#[derive(Debug, Clone, Default)]
pub struct Caller {
    /// The caller's ARN, for the tag `CreatedBy`; unknown outside API Gateway.
    pub arn: Option<String>,
    /// The request as one that may be sent again; none without an `Idempotency-Key`.
    pub replay: Option<Replay>,
}

/// What create answers: the instance, and what the caller should know about it.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Launched {
    /// The instance.
    #[serde(flatten)]
    pub instance: Instance,
    /// What was accepted and will not do all that the caller may expect.
    pub warnings: Vec<String>,
    /// What was tried before this one launched, and why it did not.
    pub failed_attempts: Vec<FailedAttempt>,
    /// False if an earlier sending of the same request launched it.
    pub created: bool,
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
    fn all(launch: &Launch) -> Vec<Self> {
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

/// Launches one instance: tagged as ours by RunInstances itself, IMDSv2 only, its root volume encrypted unless refused.
/// Answers once a read shows it, so that the caller's next call finds it.
///
/// AWS: ec2:DescribeImages, ec2:RunInstances, ec2:CreateTags, ec2:DescribeInstances; ec2:DescribeInstanceStatus to wait
/// until it is healthy, ssm:GetParameter for an image that a parameter names.
///
/// # Errors
/// 403 for a type that is not allowed, 404 for an unknown image, 409 for a key that was used before or a worker that EC2
/// takes back while it is waited for, 422 for a full fleet, and whatever EC2 refuses.
pub async fn create_instance(
    clients: &Clients,
    region: &Region,
    wanted: &CreateInstance,
    caller: &Caller,
    query: WaitQuery<UntilUp>,
) -> Result<Mutation<Launched>, Error> {
    let wait = query.wait.map(|until| Wait::new(until.into()));
    let launched = launch_or_find(clients, region, wanted, caller, query.dry_run).await?;
    let Mutation::Done(launched) = launched else { return Ok(launched) };
    let instance_id = InstanceId::try_from(launched.instance.instance_id.clone()).map_err(|_| unnamed())?;
    let worker = Worker { region: region.clone(), instance_id };
    let can_have_twins = launched.created && wanted.launch.falls_back();
    let answer = match wait {
        Some(wait) => watch(clients, &worker, launched, wait).await?,
        // What an earlier sending launched was found by a read.
        None if launched.created => Mutation::Done(once_found(clients, &worker, launched).await),
        None => Mutation::Done(launched),
    };
    let twins = match &caller.replay {
        Some(replay) if can_have_twins => twins(clients, &worker, replay).await,
        _ => Vec::new(),
    };
    Ok(answer.map(|launched| launched.with_warnings(twins)))
}

/// Watches a launched worker until it is where the caller wants it, or the time is up. The launch is not lost because of a
/// read: only EC2 taking it back is an error.
async fn watch(
    clients: &Clients,
    worker: &Worker,
    launched: Launched,
    wait: Wait,
) -> Result<Mutation<Launched>, Error> {
    Ok(match wait.watch(clients, worker).await? {
        Progress::Reached(instance) => Mutation::Done(launched.seen_as(instance)),
        Progress::Unfinished(Some(instance), because) => {
            let warning =
                because.map(|error| format!("{} cannot be read now: {}", worker.instance_id, error.summary()));
            Mutation::Unfinished(launched.seen_as(instance).with_warnings(warning))
        }
        Progress::Unfinished(None, because) => {
            let why = because.map_or(NOT_YET.to_owned(), |error| error.summary());
            Mutation::Unfinished(launched.unseen(worker, &why))
        }
    })
}

/// What else the same key launched, if EC2 can be asked now: the launch is answered all the same.
async fn twins(clients: &Clients, worker: &Worker, replay: &Replay) -> Vec<String> {
    let launched = timeout_at(deadline::at_most(SHOWN_WITHIN), replay.launched(clients, &worker.region)).await;
    let launched = launched.ok().and_then(Result::ok).unwrap_or_default();
    twins_of(worker.instance_id.as_str(), &launched).collect()
}

/// A warning for each other instance of the same key. Sendings that EC2's reads do not show to each other can launch by
/// different alternatives, whose tokens differ.
fn twins_of<'a>(id: &'a str, launched: &'a [Instance]) -> impl Iterator<Item = String> + 'a {
    let others = launched.iter().filter(move |other| other.instance_id != id && !other.is_gone());
    others.map(|other| {
        let other = &other.instance_id;
        format!("The same Idempotency-Key also launched {other}, by another alternative: terminate one of the two")
    })
}

/// Why the caller's next call may not find a launch.
const NOT_YET: &str = "calls for it may answer 404 or 403 for some seconds more";

/// The launched worker as a read shows it, tagged as ours: without that the caller's next call would be refused. If none
/// does, what RunInstances said of it: the launch is not lost because of a read.
async fn once_found(clients: &Clients, worker: &Worker, launched: Launched) -> Launched {
    let look = || async {
        match instance::find(clients, worker).await {
            Err(error) if error.code == Code::InstanceNotFound => Ok(None),
            found => found.map(|instance| Some(instance).filter(|instance| instance.managed)),
        }
    };
    match once_shown(look).await {
        Ok(Some(instance)) => launched.seen_as(instance),
        Ok(None) => launched.unseen(worker, NOT_YET),
        Err(error) => launched.unseen(worker, &error.summary()),
    }
}

async fn launch_or_find(
    clients: &Clients,
    region: &Region,
    wanted: &CreateInstance,
    caller: &Caller,
    dry_run: bool,
) -> Result<Mutation<Launched>, Error> {
    let ec2 = clients.ec2(region)?;
    let launch = &wanted.launch;
    let attempts = Attempt::all(launch);
    if let ImageChoice::Parameter(name) = &wanted.image {
        parameter::check(clients, name)?;
    }
    check_types(clients, &attempts)?;
    if dry_run {
        let image = find_image(clients, region, wanted).await?;
        let call = run_instances(ec2, launch, &Attempt::first(launch), &image, clients.managed_by(), caller);
        return permitted(call.dry_run(true).send().await);
    }
    // First of all: a retry is answered even if its image is gone by now, or the fleet full with what it launched.
    if let Some(replay) = &caller.replay
        && let Some(launched) = Launched::again(replay.find(clients, region).await?, launch)
    {
        return Ok(Mutation::Done(launched));
    }
    let (room, image) = tokio::join!(check_fleet(clients, region), find_image(clients, region, wanted));
    room?;
    let launched = first_with_capacity(clients, region, launch, &attempts, &image?, caller).await;
    match (launched, &caller.replay) {
        (Err(error), Some(replay)) if error.aws_code() == Some("IdempotentParameterMismatch") => {
            let launched = launched_before(clients, region, replay).await?;
            Launched::again(launched, launch).map(Mutation::Done).ok_or(error)
        }
        (launched, _) => launched.map(Mutation::Done),
    }
}

/// EC2 knows the token from another launch. If that was this very request, an image name or SSM parameter leads elsewhere
/// by now, and the look-up came before EC2's reads showed the first launch.
async fn launched_before(clients: &Clients, region: &Region, replay: &Replay) -> Result<Vec<Instance>, Error> {
    let look = async || Ok(Some(replay.find(clients, region).await?).filter(|launched| !launched.is_empty()));
    Ok(once_shown(look).await?.unwrap_or_default())
}

/// Tries one after the other, on to the next only where EC2 has no capacity.
async fn first_with_capacity(
    clients: &Clients,
    region: &Region,
    launch: &Launch,
    attempts: &[Attempt],
    image: &LaunchImage,
    caller: &Caller,
) -> Result<Launched, Error> {
    let ec2 = clients.ec2(region)?;
    let mut failed_attempts = Vec::new();
    for (number, attempt) in attempts.iter().enumerate() {
        if deadline::is_near() {
            let late = Error::new(Code::AwsTimeout, "There was no time left to launch: nothing was launched");
            return Err(after(&failed_attempts, late));
        }
        let call = run_instances(ec2, launch, attempt, image, clients.managed_by(), caller)
            .set_client_token(caller.replay.as_ref().map(|replay| replay.token(number)));
        let late = |_| Err(timeout(RunInstancesError::ACTION));
        let answer = timeout_at(deadline::last_word(), call.send()).await.map_or_else(late, |sent| Ok(sent?));
        let error = match answer {
            Ok(answer) => {
                let instance = answer.instances().first().ok_or_else(unnamed)?;
                let instance = Instance::from_ec2(instance, region, clients.managed_by());
                let instance = Instance { image_name: image.name.clone(), ..instance };
                // EC2 keeps a token for longer than it shows what was launched with it.
                if let (Some(replay), true) = (&caller.replay, instance.is_gone()) {
                    replay.check(&instance)?;
                }
                let warnings = launch.warnings(&attempt.instance_type);
                return Ok(Launched { instance, warnings, failed_attempts, created: true });
            }
            Err(error) => error,
        };
        if !others_may_do(&error) || number + 1 == attempts.len() {
            let error = as_repeatable(of_attempt(error, number, launch), caller);
            return Err(after(&failed_attempts, error));
        }
        failed_attempts.push(attempt.failed(&error));
    }
    Err(unnamed())
}

/// Without a key another sending is another launch: where EC2 may have launched already it must not be sent as it is.
fn as_repeatable(error: Error, caller: &Caller) -> Error {
    if caller.replay.is_some() || !error.leaves_open() {
        return error;
    }
    let advice = "without an Idempotency-Key the same call could launch another: list the instances first";
    Error { detail: format!("{} ({advice})", error.detail), retryable: false, ..error }
}

/// The error with the field that this try took its type or subnet from.
fn of_attempt(error: Error, number: usize, launch: &Launch) -> Error {
    let alternative = (number % (1 + launch.alternatives.len())).checked_sub(1);
    let Some((index, given)) = alternative.and_then(|index| Some((index, launch.alternatives.get(index)?))) else {
        return error;
    };
    let is_its_own = match error.fields.errors().first().map(|error| error.field.as_str()) {
        Some("instance_type") => given.instance_type.is_some(),
        Some("subnet_id") => given.subnet_id.is_some(),
        _ => false,
    };
    let place = |field: &FieldError| Invalid::field(format!("alternatives[{index}].{}", field.field), &field.detail);
    match error.fields.errors().first().filter(|_| is_its_own).map(place) {
        Some(fields) => Error { fields, ..error },
        None => error,
    }
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

fn unnamed() -> Error {
    let detail = "EC2 accepted the launch but named no instance: list the instances before trying again";
    Error::new(Code::AwsError, detail)
}

impl Launched {
    /// The same launch, which no read shows.
    fn unseen(self, worker: &Worker, why: &str) -> Self {
        let warning = format!("{} is launched, but no read shows it yet: {why}", worker.instance_id);
        self.with_warnings([warning])
    }

    fn with_warnings(mut self, more: impl IntoIterator<Item = String>) -> Self {
        self.warnings.extend(more);
        self
    }

    /// The same launch with the instance as it was read since.
    fn seen_as(self, instance: Instance) -> Self {
        let image_name = self.instance.image_name.clone();
        Self { instance: Instance { image_name, ..instance }, ..self }
    }

    /// What earlier sendings launched, the first of it; nothing if they launched nothing.
    fn again(launched: Vec<Instance>, launch: &Launch) -> Option<Self> {
        let first = launched.first()?.clone();
        let kind = first.instance_type.clone().and_then(|name| InstanceType::try_from(name).ok());
        let warnings = launch.warnings(&kind.unwrap_or_else(|| launch.instance_type.clone()));
        let twins: Vec<String> = twins_of(&first.instance_id, &launched).collect();
        Some(Self { instance: first, warnings, failed_attempts: Vec::new(), created: false }.with_warnings(twins))
    }
}

fn check_types(clients: &Clients, attempts: &[Attempt]) -> Result<(), Error> {
    let config = clients.config();
    let types = attempts.iter().map(|attempt| &attempt.instance_type);
    let refused: BTreeSet<&str> = types.filter(|kind| !config.allows(kind)).map(InstanceType::as_str).collect();
    if refused.is_empty() {
        return Ok(());
    }
    let refused = Vec::from_iter(refused).join(", ");
    let allowed: Vec<String> = config.allowed_instance_types.iter().map(ToString::to_string).collect();
    let detail = format!("Not among the allowed instance types {}: {refused}", allowed.join(", "));
    Err(Error::new(Code::InstanceTypeNotAllowed, detail))
}

async fn check_fleet(clients: &Clients, region: &Region) -> Result<(), Error> {
    let Some(most) = clients.config().max_workers else { return Ok(()) };
    let count = managed_count(clients, region).await?;
    if count < most {
        return Ok(());
    }
    let detail = format!("{region} has {count} managed instances and CML_MAX_WORKERS allows {most}");
    Err(Error::new(Code::QuotaExceeded, detail))
}

async fn find_image(clients: &Clients, region: &Region, wanted: &CreateInstance) -> Result<LaunchImage, Error> {
    let image = image::find(clients, region, &wanted.image).await?;
    fits(&image, &wanted.launch)?;
    Ok(image)
}

/// Whether the volumes that are asked for go with those that the image has.
fn fits(image: &LaunchImage, launch: &Launch) -> Result<(), Invalid> {
    let (root, extra) = (&launch.root_volume, launch.extra_volumes.len());
    let mut invalid = Invalid::default();
    match (&image.root, root.size_gib.map(i32::from)) {
        (None, _) if *root != Volume::default() => {
            invalid.push(Invalid::field("root_volume", "must be absent: the image's root volume is not EBS"));
        }
        (Some(ImageVolume { size_gib: Some(smallest), .. }), Some(size)) if size < *smallest => {
            let detail = format!("must be at least {smallest}, the size of the image's own root volume");
            invalid.push(Invalid::field("root_volume.size_gib", detail));
        }
        _ => {}
    }
    let free = free_names(image).count();
    if extra > free {
        let detail = format!("must have at most {free} elements: the image uses the other device names itself");
        invalid.push(Invalid::field("extra_volumes", detail));
    }
    invalid.none_or(())
}

#[cfg(test)]
mod tests;
