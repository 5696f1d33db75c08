//! `POST /regions/{region}/instances`: launch a worker.
//!
//! IAM: `ec2:DescribeImages`, `ec2:DescribeInstances`, `ec2:RunInstances`, `ec2:CreateTags`.
//! Event: `events/create-instance.json`.

use shared::ops::create_instance::{OPERATION, handle};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    shared::serve(&OPERATION, handle).await
}
