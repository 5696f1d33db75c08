//! `GET /regions/{region}/instances/{instance_id}/status`: read a worker's status checks.
//!
//! IAM: `ec2:DescribeInstances`, `ec2:DescribeInstanceStatus`.
//! Event: `events/get-instance-status.json`.

use shared::instance::Worker;
use shared::status::InstanceStatus;
use shared::{Clients, Error, Request, ops};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    shared::serve(handle).await
}

async fn handle(clients: &Clients, request: Request<Worker>) -> Result<InstanceStatus, Error> {
    ops::get_instance_status(clients, &request.path).await
}
