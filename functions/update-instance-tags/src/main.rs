//! `PATCH /regions/{region}/instances/{instance_id}/tags`: set tags on a worker.
//!
//! IAM: `ec2:DescribeInstances`, `ec2:CreateTags`.
//! Event: `events/update-instance-tags.json`.

use shared::ops;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    shared::serve(ops::update_instance_tags::handle).await
}
