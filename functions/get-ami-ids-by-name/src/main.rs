//! `GET /regions/{region}/images?name=`: find images by name.
//!
//! IAM: `ec2:DescribeImages`.
//! Event: `events/get-ami-ids-by-name.json`.

use shared::ops::get_ami_ids_by_name::{OPERATION, handle};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    shared::serve(&OPERATION, handle).await
}
