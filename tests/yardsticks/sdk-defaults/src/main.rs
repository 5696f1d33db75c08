//! The call of get-instance-details with the SDK as it comes: the default credentials, the system's trust roots, the whole
//! instance read.

use aws_config::BehaviorVersion;
use aws_sdk_ec2::types::Instance;
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use lambda_http::{Error, Request, RequestExt, service_fn};
use serde_json::{Value, json};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    // The HTTP client that the feature `default-https-client` gives. The feature itself would be another build of the SDK.
    let http = Builder::new().tls_provider(Provider::Rustls(CryptoMode::AwsLc)).build_https();
    let settings = aws_config::defaults(BehaviorVersion::v2026_01_12()).http_client(http).load().await;
    let ec2 = aws_sdk_ec2::Client::new(&settings);
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
