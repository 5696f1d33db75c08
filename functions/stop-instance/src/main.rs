//! `POST /regions/{region}/instances/{instance_id}/stop`: stop a running worker.
//!
//! IAM: `ec2:DescribeInstances`, `ec2:StopInstances`.
//! Event: `events/stop-instance.json`.

use shared::instance::{StateChange, Worker};
use shared::mutation::{DryRun, Mutation};
use shared::{Clients, Error, Request, ops};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    shared::serve(handle).await
}

async fn handle(clients: &Clients, request: Request<Worker, DryRun>) -> Result<Mutation<StateChange>, Error> {
    ops::stop_instance(clients, &request.path, request.query.dry_run).await
}
