//! `POST /regions/{region}/instances/{instance_id}/start`: start a stopped worker.
//! `POST /regions/{region}/instances/start`: the same for the instances that the body names.
//!
//! IAM: `ec2:DescribeInstances`, `ec2:StartInstances`. With `wait=healthy` also `ec2:DescribeInstanceStatus`.
//! Event: `events/start-instance.json`.

use shared::lifecycle::{InstancesBody, Order, Place, StateChanges};
use shared::mutation::Mutation;
use shared::wait::{UntilUp, WaitQuery};
use shared::{Clients, Error, Request, ops};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    shared::serve(handle).await
}

async fn handle(
    clients: &Clients,
    request: Request<Place, WaitQuery<UntilUp>, InstancesBody>,
) -> Result<Mutation<StateChanges>, Error> {
    let Request { path, query, body, .. } = request;
    let order = Order::new(path, query, body.instance_ids)?;
    ops::start_instance(clients, &order).await
}
