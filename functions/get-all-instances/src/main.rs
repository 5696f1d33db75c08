//! `GET /regions/{region}/instances`: list a region's workers.
//!
//! IAM: `ec2:DescribeInstances`.
//! Event: `events/get-all-instances.json`.

use shared::instance::InRegion;
use shared::ops::get_all_instances::{InstanceList, ListQuery};
use shared::{Clients, Error, Request, ops};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    shared::serve(handle).await
}

async fn handle(clients: &Clients, request: Request<InRegion, ListQuery>) -> Result<InstanceList, Error> {
    ops::get_all_instances(clients, &request.path.region, &request.query).await
}
