//! `GET /regions/{region}/instances/{instance_id}/utilization?window=&series=`: read a worker's CPU and memory.
//!
//! IAM: `ec2:DescribeInstances`, `cloudwatch:GetMetricStatistics`.
//! Event: `events/get-instance-resources-utilization.json`.

use shared::instance::Worker;
use shared::utilization::{Utilization, UtilizationQuery};
use shared::{Clients, Error, Request, ops};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    shared::serve(handle).await
}

async fn handle(clients: &Clients, request: Request<Worker, UtilizationQuery>) -> Result<Utilization, Error> {
    ops::get_instance_resources_utilization(clients, &request.path, &request.query).await
}
