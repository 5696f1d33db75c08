//! `GET /regions/{region}/instances/{instance_id}/tags`: read a worker's tags.
//!
//! IAM: `ec2:DescribeInstances`, `ec2:DescribeTags`.
//! Event: `events/get-instance-tags.json`.

use shared::instance::Worker;
use shared::tags::InstanceTags;
use shared::{Clients, Error, Request, ops};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    shared::serve(handle).await
}

async fn handle(clients: &Clients, request: Request<Worker>) -> Result<InstanceTags, Error> {
    ops::get_instance_tags(clients, &request.path).await
}
