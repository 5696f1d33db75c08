//! `DELETE /regions/{region}/instances/{instance_id}`: terminate a worker for good.
//!
//! IAM: `ec2:DescribeInstances`, `ec2:TerminateInstances`.
//! Event: `events/terminate-instance.json`.

use shared::instance::{StateChange, Worker};
use shared::mutation::{DryRun, Mutation};
use shared::{Clients, Error, Request, ops};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    shared::serve(handle).await
}

async fn handle(clients: &Clients, request: Request<Worker, DryRun>) -> Result<Mutation<StateChange>, Error> {
    ops::terminate_instance(clients, &request.path, request.query.dry_run).await
}
