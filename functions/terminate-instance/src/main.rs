//! `DELETE /regions/{region}/instances/{instance_id}`: terminate a worker for good.
//! `POST /regions/{region}/instances/terminate`: the same for the instances that the body names.
//!
//! IAM: `ec2:DescribeInstances`, `ec2:TerminateInstances`.
//! Event: `events/terminate-instance.json`.

use shared::ops::terminate_instance::{OPERATION, handle};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    shared::serve(&OPERATION, handle).await
}
