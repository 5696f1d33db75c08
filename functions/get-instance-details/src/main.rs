//! `GET /regions/{region}/instances/{instance_id}`: read one worker.
//!
//! IAM: `ec2:DescribeInstances`.
//! Event: `events/get-instance-details.json`.

use shared::ops;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    shared::serve(ops::get_instance_details::handle).await
}
