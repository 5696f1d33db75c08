//! `GET /regions/{region}/instances/{instance_id}/status`: read a worker's status checks.
//!
//! IAM: `ec2:DescribeInstances`, `ec2:DescribeInstanceStatus`.
//! Event: `events/get-instance-status.json`.

use shared::ops::get_instance_status::{OPERATION, handle};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    shared::serve(&OPERATION, handle).await
}
