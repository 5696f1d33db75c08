//! `GET /health`, and the EventBridge schedule: can this deployment reach EC2?
//!
//! IAM: `ec2:DescribeRegions`.
//! Event: `events/health.json`, `events/health-schedule.json`.

use shared::ops::health::Health;
use shared::{Clients, Error, Request, ops};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    shared::serve(handle).await
}

async fn handle(clients: &Clients, _: Request) -> Result<Health, Error> {
    ops::health(clients).await
}
