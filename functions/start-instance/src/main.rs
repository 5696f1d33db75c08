//! `POST /regions/{region}/instances/{instance_id}/start`: start a stopped worker.
//! `POST /regions/{region}/instances/start`: the same for the instances that the body names.
//!
//! IAM: `ec2:DescribeInstances`, `ec2:StartInstances`. With `wait=healthy` also `ec2:DescribeInstanceStatus`.
//! Event: `events/start-instance.json`.

use shared::ops::start_instance::{OPERATION, handle};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    shared::serve(&OPERATION, handle).await
}
