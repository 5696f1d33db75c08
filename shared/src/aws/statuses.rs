//! Reading status checks.

use crate::aws::clients::Clients;
use crate::error::Error;
use crate::model::instance::Instance;
use crate::model::path::InstancePath;
use crate::model::status::InstanceStatus;

/// Reads the status checks of an instance that was read before.
pub(crate) async fn read_status(
    clients: &Clients,
    worker: &InstancePath,
    instance: &Instance,
) -> Result<InstanceStatus, Error> {
    let answer = clients
        .ec2(&worker.region)?
        .describe_instance_status()
        .instance_ids(worker.instance_id.as_str())
        // Without this EC2 leaves out instances that do not run.
        .include_all_instances(true)
        .send()
        .await?;
    let id = worker.instance_id.clone();
    let status = answer.instance_statuses().iter().find(|status| status.instance_id() == Some(id.as_str()));
    Ok(InstanceStatus::from_ec2(id, instance, status))
}
