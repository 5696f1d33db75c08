//! `GET /regions/{region}/images?name=`: find images by name.
//!
//! IAM: `ec2:DescribeImages`.
//! Event: `events/get-ami-ids-by-name.json`.

use shared::ops;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    shared::serve(ops::get_ami_ids_by_name::handle).await
}
