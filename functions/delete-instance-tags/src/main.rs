//! `DELETE /regions/{region}/instances/{instance_id}/tags?key=`: remove tags from a worker.
//!
//! IAM: `ec2:DescribeInstances`, `ec2:DeleteTags`.
//! Event: `events/delete-instance-tags.json`.

use shared::instance::Worker;
use shared::mutation::Mutation;
use shared::ops::delete_instance_tags::TagKeys;
use shared::tags::InstanceTags;
use shared::{Clients, Error, Request, ops};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    shared::serve(handle).await
}

async fn handle(clients: &Clients, request: Request<Worker, TagKeys>) -> Result<Mutation<InstanceTags>, Error> {
    ops::delete_instance_tags(clients, &request.path, &request.query.key, request.query.dry_run).await
}
