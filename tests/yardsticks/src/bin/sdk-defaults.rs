//! The call of get-instance-details with the SDK as it comes: the default credentials, the system's trust roots, the whole
//! instance read.

use aws_config::BehaviorVersion;
use aws_sdk_ec2::types::Instance;
use lambda_http::{Error, Request, RequestExt, service_fn};
use serde_json::{Value, json};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let ec2 = aws_sdk_ec2::Client::new(&aws_config::load_defaults(BehaviorVersion::v2026_01_12()).await);
    let ec2 = &ec2;
    lambda_http::run(service_fn(move |event: Request| async move { details(ec2, &event).await })).await
}

async fn details(ec2: &aws_sdk_ec2::Client, event: &Request) -> Result<Value, Error> {
    let parameters = event.path_parameters();
    let instance_id = parameters.first("instance_id").ok_or("the event names no instance")?;
    let answer = ec2.describe_instances().instance_ids(instance_id).send().await?;
    let instance = answer.reservations().iter().flat_map(|reservation| reservation.instances()).next();
    Ok(document(instance.ok_or("EC2 shows no such instance")?))
}

fn document(instance: &Instance) -> Value {
    json!({
        "instance_id": instance.instance_id(),
        "instance_type": instance.instance_type().map(|instance_type| instance_type.as_str()),
        "state": instance.state().and_then(|state| state.name()).map(|name| name.as_str()),
        "private_ip": instance.private_ip_address(),
    })
}
