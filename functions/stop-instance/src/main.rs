//! `POST /regions/{region}/instances/{instance_id}/stop`: stop a running worker.
//! `POST /regions/{region}/instances/stop`: the same for the instances that the body names.
//!
//! IAM: `ec2:DescribeInstances`, `ec2:StopInstances`.
//! Event: `events/stop-instance.json`.

use shared::ops::stop_instance::{OPERATION, handle};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    shared::serve(&OPERATION, handle).await
}
