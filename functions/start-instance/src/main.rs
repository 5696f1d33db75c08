//! `POST /regions/{region}/instances/{instance_id}/start`: start a stopped worker.
//!
//! IAM: `ec2:DescribeInstances`, `ec2:StartInstances`.
//! Event: `events/start-instance.json`.

use shared::instance::{StateChange, Worker};
use shared::mutation::{DryRun, Mutation};
use shared::{Clients, Error, Request, ops};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    shared::serve(handle).await
}

async fn handle(clients: &Clients, request: Request<Worker, DryRun>) -> Result<Mutation<StateChange>, Error> {
    ops::start_instance(clients, &request.path, request.query.dry_run).await
}
