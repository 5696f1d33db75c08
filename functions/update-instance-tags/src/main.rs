//! `PATCH /regions/{region}/instances/{instance_id}/tags`: set tags on a worker.
//!
//! IAM: `ec2:DescribeInstances`, `ec2:CreateTags`.
//! Event: `events/update-instance-tags.json`.

use shared::ops::update_instance_tags::{OPERATION, handle};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    shared::serve(&OPERATION, handle).await
}
