//! Reading status checks.

use aws_sdk_ec2::types;

use crate::aws::clients::Clients;
use crate::error::Error;
use crate::model::path::InstancePath;

/// Reads what EC2 says about the status checks of an instance, or none if EC2 reports none of it.
///
/// # Errors
/// What EC2 refuses.
pub(crate) async fn read_status(
    clients: &Clients,
    worker: &InstancePath,
) -> Result<Option<types::InstanceStatus>, Error> {
    let answer = clients
        .ec2(&worker.region)?
        .describe_instance_status()
        .instance_ids(worker.instance_id.as_str())
        // Without this EC2 leaves out instances that do not run.
        .include_all_instances(true)
        .send()
        .await?;
    let mut statuses = answer.instance_statuses.unwrap_or_default().into_iter();
    Ok(statuses.find(|status| status.instance_id() == Some(worker.instance_id.as_str())))
}
