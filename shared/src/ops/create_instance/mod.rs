//! Launch a worker.
//!
//! A launch goes through these steps: a request that the deployment does not allow is refused (`checks`); if an earlier
//! sending launched an instance, that is the answer, and image and fleet are looked at meanwhile; the alternatives are tried
//! until EC2 has capacity (`attempts`); and a read shows the launched instance (`shown`).

pub(crate) mod attempt;
mod attempts;
pub(crate) mod caller;
mod checks;
mod launched;
pub(crate) mod launching;
mod limits;
pub(crate) mod request;
mod shown;
mod volumes;

use attempt::Attempt;
pub use attempt::FailedAttempt;
pub use caller::Caller;
pub use launched::Launched;
use launching::Launching;
use request::run_instances;

use crate::aws::beside::beside;
use crate::aws::clients::Clients;
use crate::aws::dry_run::permitted;
use crate::aws::launches::GENERATIONS;
use crate::aws::watch::Wait;
use crate::error::{Code, Error};
use crate::model::image::{ImageChoice, LaunchImage};
use crate::model::launch::CreateInstance;
use crate::model::mutation::Mutation;
use crate::model::operation::{Call, Callers, Operation, Route};
use crate::model::path::RegionPath;
use crate::model::region::Region;
use crate::model::request::Request;
use crate::model::wait::{UntilUp, WaitQuery};

/// The row of this operation in the table of all operations.
pub const OPERATION: Operation = Operation {
    name: "create-instance",
    routes: &[Route {
        method: "POST",
        path: "/regions/{region}/instances",
        summary: "Launch a worker.",
        takes: "[body](docs/API.md#launching-a-worker); `dry_run`; `wait`: `running` `healthy`; header `Idempotency-Key`",
        answers: "201 instance, `warnings`, `failed_attempts`, `created`, `Location`",
    }],
    callers: Callers::Launcher,
    actions: &["ec2:DescribeImages", "ec2:DescribeInstances", "ec2:RunInstances", "ec2:CreateTags"],
    purpose: "with an `Idempotency-Key`, finds what an earlier sending launched; at the same time turns `image_name` into an image id and reads its volumes; launches; tags instance, volumes and network interfaces in the launch itself; answers once a read shows the instance; `wait=healthy` also takes `ec2:DescribeInstanceStatus`",
    calls: &[
        Call::look_up("ec2:DescribeInstances"),
        Call::read("ssm:GetParameter"),
        Call::read("ec2:DescribeImages"),
        Call::change("ec2:RunInstances"),
        Call::see("ec2:DescribeInstances"),
    ],
};

/// Launches one instance. RunInstances itself tags it as ours, it allows IMDSv2 only, and its root volume is encrypted unless
/// the caller refuses that. The answer comes once a read shows the instance, so that the caller's next call finds it.
///
/// AWS: ec2:DescribeImages, ec2:RunInstances, ec2:CreateTags, ec2:DescribeInstances; ec2:DescribeInstanceStatus to wait
/// until it is healthy, ssm:GetParameter for an image that a parameter names.
///
/// # Errors
/// 403 for a type and 400 for a subnet, security group, key pair or tag key that is not allowed, 404 for an unknown image,
/// 409 for a key that was used before or a worker that EC2 takes back while it is waited for, 422 for a full fleet, and
/// whatever EC2 refuses.
pub async fn create_instance(
    clients: &Clients,
    region: &Region,
    wanted: &CreateInstance,
    caller: &Caller,
    query: WaitQuery<UntilUp>,
) -> Result<Mutation<Launched>, Error> {
    // The time to wait runs from here.
    let wait = query.wait.map(|until| Wait::new(until.into()));
    let launching = Launching::new(clients, region, &wanted.launch, caller)?;
    launching.check(&wanted.image)?;
    if query.dry_run {
        return launching.ask(&wanted.image).await;
    }
    launching.until_shown(launching.launch_once(&wanted.image).await?, wait).await
}

impl Launching<'_> {
    /// Asks whether EC2 would permit the launch itself, without its alternatives.
    async fn ask(&self, choice: &ImageChoice) -> Result<Mutation<Launched>, Error> {
        let image = self.image(choice).await?;
        permitted(run_instances(self, &Attempt::first(self.launch), &image).dry_run(true).send().await)
    }

    /// Finds what an earlier sending launched, or launches. The look-up decides before the checks of image and fleet, so that
    /// a retry is answered even if its image is gone by now, or if its own launch has filled the fleet.
    async fn launch_once(&self, choice: &ImageChoice) -> Result<Launched, Error> {
        // Whatever the look-up decides ends the other reads, a success too. Therefore it is an `Err` to `beside`.
        let look_up = async {
            match self.earlier().await {
                Ok(None) => Ok(()),
                Ok(Some(launched)) => Err(Ok(launched)),
                Err(error) => Err(Err(error)),
            }
        };
        match beside(look_up, self.image_if_room(choice)).await {
            Ok(((), image)) => self.launch(&image?).await,
            Err(decided) => decided,
        }
    }

    /// Finds the instance that an earlier sending of the same request launched.
    async fn earlier(&self) -> Result<Option<Launched>, Error> {
        let Some(keyed_request) = &self.caller.keyed_request else { return Ok(None) };
        Ok(Launched::again(keyed_request.find(self.clients, self.region).await?, self.launch))
    }

    /// Launches the instance, with other tokens if EC2 has bound the first ones to a launch that did not happen.
    async fn launch(&self, image: &LaunchImage) -> Result<Launched, Error> {
        for generation in 0..GENERATIONS {
            match (self.first_with_capacity(image, generation).await, &self.caller.keyed_request) {
                // EC2 knows the token from a launch with other parameters. If that was this same request, its image name or
                // SSM parameter leads to another image by now. Then either the look-up came before EC2's reads showed the
                // first launch, or the first launch failed and EC2 has bound it to its token nevertheless.
                (Err(error), Some(keyed_request)) if error.aws_code() == Some("IdempotentParameterMismatch") => {
                    let found = match generation {
                        0 => keyed_request.find_for_sure(self.clients, self.region).await?,
                        _ => keyed_request.find(self.clients, self.region).await?,
                    };
                    if let Some(launched) = Launched::again(found, self.launch) {
                        return Ok(launched);
                    }
                }
                (launched, _) => return launched,
            }
        }
        let detail = "EC2 has bound this Idempotency-Key to two launches, but no read of EC2 shows either launch: send the \
                      same request again, and use a new key if the answer stays the same";
        Err(Error::new(Code::IdempotencyMismatch, detail).retryable())
    }
}

/// Handles one request of the function.
///
/// # Errors
/// The errors of the operation.
pub async fn handle(
    clients: &Clients,
    request: Request<RegionPath, WaitQuery<UntilUp>, CreateInstance>,
) -> Result<Mutation<Launched>, Error> {
    let caller = Caller::of(&request, clients.config());
    create_instance(clients, &request.path.region, &request.body, &caller, request.query).await
}

#[cfg(test)]
mod tests;
