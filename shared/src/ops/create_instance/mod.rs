//! Launch a worker.

mod attempts;
mod request;

use std::collections::BTreeSet;

use serde::Serialize;
use tokio::time::timeout_at;

use crate::api::http::Request;
use crate::aws::clients::Clients;
use crate::aws::deadline;
use crate::error::{Code, Error};
use crate::input::{Invalid, texts};
use crate::model::idempotency::{GENERATIONS, Replay};
use crate::model::image::{self, ImageChoice, ImageVolume, LaunchImage};
use crate::model::image_parameter;
use crate::model::instance::{self, InRegion, Instance, InstanceId, InstanceType, Worker, managed_count};
use crate::model::launch::{CreateInstance, Launch};
use crate::model::mutation::{Mutation, permitted};
use crate::model::region::Region;
use crate::model::volume::{Volume, free_names};
use crate::model::wait::{Progress, SHOWN_WITHIN, UntilUp, Wait, WaitQuery, once_shown};

pub(crate) use attempts::Attempt;
pub use attempts::FailedAttempt;
use attempts::{first_with_capacity, unnamed};
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
    /// Whether a read has shown it.
    #[serde(skip)]
    pub is_read: bool,
}

/// Launches one instance: tagged as ours by RunInstances itself, IMDSv2 only, its root volume encrypted unless refused.
/// Answers once a read shows it, so that the caller's next call finds it.
///
/// AWS: ec2:DescribeImages, ec2:RunInstances, ec2:CreateTags, ec2:DescribeInstances; ec2:DescribeInstanceStatus to wait
/// until it is healthy, ssm:GetParameter for an image that a parameter names.
///
/// # Errors
/// 403 for a type and 400 for a subnet, security group, key pair or tag key that is not allowed, 404 for an unknown image, 409 for a key that was used before or a worker that EC2
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
    let is_read = launched.is_read;
    let answer = match wait {
        // What an earlier sending launched may have been stopped since: then there is nothing to wait for.
        Some(wait) if !is_read || wait.can_come(&launched.instance.state) => {
            watch(clients, &worker, launched, wait.with_time_left()).await?
        }
        Some(_) => Mutation::Done(launched),
        None if is_read => Mutation::Done(launched),
        None => Mutation::Done(once_found(clients, &worker, launched).await),
    };
    let twins = match &caller.replay {
        Some(replay) if !is_read && wanted.launch.falls_back() => twins(clients, &worker, replay).await,
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
    let told = Some(clients.now()).filter(|_| !launched.created);
    Ok(match wait.watch(clients, worker, told).await? {
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
    let launched: Vec<Instance> = launched.into_iter().filter(|found| replay.is_ours(found)).collect();
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
        image_parameter::check(clients, region, name)?;
    }
    check_types(clients, &attempts)?;
    clients.config().limits.check_launch(launch)?;
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
    let image = image?;
    for generation in 0..GENERATIONS {
        let launched = first_with_capacity(clients, region, launch, &attempts, &image, caller, generation).await;
        match (launched, &caller.replay) {
            // EC2 knows the token from a launch with other parameters. If that was this very request, an image name or
            // SSM parameter leads elsewhere by now, and either the look-up came before EC2's reads showed the first launch
            // or that one failed and is bound to its token all the same.
            (Err(error), Some(replay)) if error.aws_code() == Some("IdempotentParameterMismatch") => {
                let found = match generation {
                    0 => replay.find_for_sure(clients, region).await?,
                    _ => replay.find(clients, region).await?,
                };
                if let Some(launched) = Launched::again(found, launch) {
                    return Ok(Mutation::Done(launched));
                }
            }
            (launched, _) => return launched.map(Mutation::Done),
        }
    }
    let detail =
        "EC2 has bound this Idempotency-Key to two launches, and no read shows one: if that stays so, use a new key";
    Err(Error::new(Code::IdempotencyMismatch, detail).passing())
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
        let (failed_attempts, created, is_read) = (Vec::new(), false, true);
        Some(Self { instance: first, warnings, failed_attempts, created, is_read }.with_warnings(twins))
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
    let allowed = texts(&config.allowed_instance_types).join(", ");
    let detail = format!("Not among the allowed instance types {allowed}: {refused}");
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
    match (&image.root, root.size_gib) {
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

/// What its function does with a request.
///
/// # Errors
/// Those of the operation.
pub async fn handle(
    clients: &Clients,
    request: Request<InRegion, WaitQuery<UntilUp>, CreateInstance>,
) -> Result<Mutation<Launched>, Error> {
    let caller = request.caller(clients.config());
    create_instance(clients, &request.path.region, &request.body, &caller, request.query).await
}

#[cfg(test)]
mod tests;
