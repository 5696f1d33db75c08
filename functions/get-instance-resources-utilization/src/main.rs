//! `GET /regions/{region}/instances/{instance_id}/utilization?window=&series=`: read a worker's CPU and memory.
//!
//! IAM: `ec2:DescribeInstances`, `cloudwatch:GetMetricStatistics`.
//! Event: `events/get-instance-resources-utilization.json`.

use shared::ops::get_instance_resources_utilization::{OPERATION, handle};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    shared::serve(&OPERATION, handle).await
}
