//! `GET /health`, and the EventBridge schedule: can this deployment reach EC2?
//!
//! IAM: `ec2:DescribeRegions`.
//! With `?permissions=true` it tries every action of every operation; none of them is needed for that.
//! Event: `events/health.json`, `events/health-schedule.json`.

use shared::ops;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    shared::serve(ops::health::handle).await
}
