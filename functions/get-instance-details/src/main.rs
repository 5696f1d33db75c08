//! `GET /regions/{region}/instances/{instance_id}`: read one worker.
//!
//! IAM: `ec2:DescribeInstances`.
//! Event: `events/get-instance-details.json`.

use shared::fields::Narrowed;
use shared::instance::Worker;
use shared::ops::get_instance_details::DetailsQuery;
use shared::{Clients, Error, Request, ops};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    shared::serve(handle).await
}

async fn handle(clients: &Clients, request: Request<Worker, DetailsQuery>) -> Result<Narrowed, Error> {
    ops::get_instance_details(clients, &request.path, &request.query).await
}
