//! `GET /health`, and the EventBridge schedule: can this deployment reach EC2 and CloudWatch?
//!
//! IAM: `ec2:DescribeRegions`, `cloudwatch:GetMetricStatistics`.
//! With `?permissions=true` it tries every action of every operation. It works even if the role has none of them.
//! Event: `events/health.json`, `events/health-schedule.json`.

use shared::ops::health::{OPERATION, handle};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    shared::serve(&OPERATION, handle).await
}
