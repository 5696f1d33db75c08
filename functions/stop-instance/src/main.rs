//! `POST /regions/{region}/instances/{instance_id}/stop`: stop a running worker.
//! `POST /regions/{region}/instances/stop`: the same for the instances that the body names.
//!
//! IAM: `ec2:DescribeInstances`, `ec2:StopInstances`.
//! Event: `events/stop-instance.json`.

use shared::ops;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    shared::serve(ops::stop_instance::handle).await
}
