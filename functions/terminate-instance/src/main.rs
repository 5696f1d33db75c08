//! `DELETE /regions/{region}/instances/{instance_id}`: terminate a worker for good.
//! `POST /regions/{region}/instances/terminate`: the same for the instances that the body names.
//!
//! IAM: `ec2:DescribeInstances`, `ec2:TerminateInstances`.
//! Event: `events/terminate-instance.json`.

use shared::lifecycle::{InstancesBody, Order, Place, StateChanges};
use shared::mutation::Mutation;
use shared::wait::{UntilTerminated, WaitQuery};
use shared::{Clients, Error, Request, ops};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    shared::serve(handle).await
}

async fn handle(
    clients: &Clients,
    request: Request<Place, WaitQuery<UntilTerminated>, InstancesBody>,
) -> Result<Mutation<StateChanges>, Error> {
    let Request { path, query, body, .. } = request;
    let order = Order::new(path, query, body.instance_ids)?;
    ops::terminate_instance(clients, &order).await
}
