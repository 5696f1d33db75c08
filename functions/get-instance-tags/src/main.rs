//! `GET /regions/{region}/instances/{instance_id}/tags`: read a worker's tags.
//!
//! IAM: `ec2:DescribeInstances`, `ec2:DescribeTags`.
//! Event: `events/get-instance-tags.json`.

use shared::ops::get_instance_tags::{OPERATION, handle};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    shared::serve(&OPERATION, handle).await
}
