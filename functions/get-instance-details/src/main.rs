//! `GET /regions/{region}/instances/{instance_id}`: read one worker.
//!
//! IAM: `ec2:DescribeInstances`.
//! Event: `events/get-instance-details.json`.

use shared::ops::get_instance_details::{OPERATION, handle};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    shared::serve(&OPERATION, handle).await
}
