//! `DELETE /regions/{region}/instances/{instance_id}/tags?key=`: remove tags from a worker.
//!
//! IAM: `ec2:DescribeInstances`, `ec2:DeleteTags`.
//! Event: `events/delete-instance-tags.json`.

use shared::ops::delete_instance_tags::{OPERATION, handle};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    shared::serve(&OPERATION, handle).await
}
