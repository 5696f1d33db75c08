//! `POST /regions/{region}/instances/{instance_id}/stop`: stop a running worker.
//! `POST /regions/{region}/instances/stop`: the same for the instances that the body names.
//!
//! IAM: `ec2:DescribeInstances`, `ec2:StopInstances`.
//! Event: `events/stop-instance.json`.

use shared::lifecycle::{Order, Place, StateChanges};
use shared::mutation::Mutation;
use shared::ops::stop_instance::StopBody;
use shared::wait::{UntilStopped, WaitQuery};
use shared::{Clients, Error, Request, ops};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    shared::serve(handle).await
}

async fn handle(
    clients: &Clients,
    request: Request<Place, WaitQuery<UntilStopped>, StopBody>,
) -> Result<Mutation<StateChanges>, Error> {
    let Request { path, query, body, .. } = request;
    let manner = body.manner();
    let order = Order::new(path, query, body.instance_ids)?;
    ops::stop_instance(clients, &order, manner).await
}
