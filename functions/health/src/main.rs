//! `GET /health`, and the EventBridge schedule: can this deployment reach EC2?
//!
//! IAM: `ec2:DescribeRegions`.
//! With `?permissions=true` it tries every action of every operation; none of them is needed for that.
//! Event: `events/health.json`, `events/health-schedule.json`.

use shared::input::Nothing;
use shared::ops::health::{Health, HealthQuery};
use shared::{Clients, Error, Request, ops};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    shared::serve(handle).await
}

async fn handle(clients: &Clients, request: Request<Nothing, HealthQuery>) -> Result<Health, Error> {
    ops::health(clients, request.query).await
}
