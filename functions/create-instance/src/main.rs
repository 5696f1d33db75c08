//! `POST /regions/{region}/instances`: launch a worker.
//!
//! IAM: `ec2:DescribeImages`, `ec2:DescribeInstances`, `ec2:RunInstances`, `ec2:CreateTags`.
//! Event: `events/create-instance.json`.

use shared::instance::InRegion;
use shared::launch::CreateInstance;
use shared::mutation::Mutation;
use shared::ops::create_instance::Launched;
use shared::wait::{UntilUp, WaitQuery};
use shared::{Clients, Error, Request, ops};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    shared::serve(handle).await
}

async fn handle(
    clients: &Clients,
    request: Request<InRegion, WaitQuery<UntilUp>, CreateInstance>,
) -> Result<Mutation<Launched>, Error> {
    let caller = request.caller();
    ops::create_instance(clients, &request.path.region, &request.body, &caller, request.query).await
}
