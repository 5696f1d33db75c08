//! `GET /regions/{region}/instances`: list a region's workers.
//!
//! IAM: `ec2:DescribeInstances`.
//! Event: `events/get-all-instances.json`.

use shared::ops::get_all_instances::{OPERATION, handle};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    shared::serve(&OPERATION, handle).await
}
