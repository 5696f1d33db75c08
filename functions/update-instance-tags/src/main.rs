//! `PATCH /regions/{region}/instances/{instance_id}/tags`: set tags on a worker.
//!
//! IAM: `ec2:DescribeInstances`, `ec2:CreateTags`.
//! Event: `events/update-instance-tags.json`.

use shared::instance::Worker;
use shared::mutation::{DryRun, Mutation};
use shared::ops::update_instance_tags::TagUpdate;
use shared::tags::InstanceTags;
use shared::{Clients, Error, Request, ops};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    shared::serve(handle).await
}

async fn handle(
    clients: &Clients,
    request: Request<Worker, DryRun, TagUpdate>,
) -> Result<Mutation<InstanceTags>, Error> {
    ops::update_instance_tags(clients, &request.path, &request.body, request.query.dry_run).await
}
