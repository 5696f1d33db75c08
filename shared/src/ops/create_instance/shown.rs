//! Answers a launch once a read shows the instance, or once it has the state that the caller waits for.

use tokio::time::timeout_at;

use super::launched::{Launched, twins_of, unnamed};
use super::launching::Launching;
use crate::aws::clients::Clients;
use crate::aws::deadline;
use crate::aws::instances;
use crate::aws::once_shown::{SHOWN_WITHIN, once_shown};
use crate::aws::watch::{Progress, Wait};
use crate::error::{Code, Error};
use crate::model::idempotency::KeyedRequest;
use crate::model::instance::Instance;
use crate::model::instance_id::InstanceId;
use crate::model::mutation::Mutation;
use crate::model::path::InstancePath;

/// Why the caller's next call may not find a launch.
const NOT_YET: &str = "calls for it may answer 404 or 403 for some seconds more";

impl Launching<'_> {
    /// The launch as a read shows it, with a warning about each other instance of the same key.
    pub(super) async fn until_shown(
        &self,
        launched: Launched,
        wait: Option<Wait>,
    ) -> Result<Mutation<Launched>, Error> {
        let instance_id = InstanceId::try_from(launched.instance.instance_id.clone()).map_err(|_| unnamed())?;
        let worker = InstancePath { region: self.region.clone(), instance_id };
        let is_read = launched.is_read;
        let answer = match wait {
            // The instance of an earlier sending may have been stopped since. Then there is nothing to wait for.
            Some(wait) if !is_read || wait.can_come(&launched.instance.state) => {
                watch(self.clients, &worker, launched, wait.with_time_left()).await?
            }
            None if !is_read => Mutation::Done(once_found(self.clients, &worker, launched).await),
            _ => Mutation::Done(launched),
        };
        let twins = match &self.caller.keyed_request {
            Some(keyed_request) if !is_read && self.launch.falls_back() => {
                twins(self.clients, &worker, keyed_request).await
            }
            _ => Vec::new(),
        };
        Ok(answer.map(|launched| launched.with_warnings(twins)))
    }
}

/// Watches a launched worker until it has the wished state, or the time is up. A failed read does not make the launch an
/// error; only a launch that EC2 takes back is one.
async fn watch(
    clients: &Clients,
    worker: &InstancePath,
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

/// Warnings about other instances of the same key. If EC2 cannot be asked now, the launch is answered without them.
async fn twins(clients: &Clients, worker: &InstancePath, keyed_request: &KeyedRequest) -> Vec<String> {
    let launched = timeout_at(deadline::at_most(SHOWN_WITHIN), keyed_request.launched(clients, &worker.region)).await;
    let launched = launched.ok().and_then(Result::ok).unwrap_or_default();
    let launched: Vec<Instance> = launched.into_iter().filter(|found| keyed_request.is_ours(found)).collect();
    twins_of(worker.instance_id.as_str(), &launched).collect()
}

/// The launched worker as a read shows it, tagged as ours: without the tag the caller's next call would be refused. If no
/// read shows it, the answer is what RunInstances said, because a failed read must not lose the launch.
async fn once_found(clients: &Clients, worker: &InstancePath, launched: Launched) -> Launched {
    let look = || async {
        match instances::find(clients, worker).await {
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
