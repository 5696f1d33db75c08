//! SDK clients with root's key, for what a test sets up and looks at.

use aws_config::{BehaviorVersion, Region};
use aws_credential_types::Credentials;

use super::{REGION, ROOT_ACCESS_KEY_ID, ROOT_SECRET_ACCESS_KEY};

/// A client of the EC2 at `endpoint`.
pub fn ec2(endpoint: &str) -> aws_sdk_ec2::Client {
    ec2_in(REGION, endpoint)
}

/// The same in another region.
pub fn ec2_in(region: &'static str, endpoint: &str) -> aws_sdk_ec2::Client {
    let config = aws_sdk_ec2::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new(region))
        .credentials_provider(root())
        .endpoint_url(endpoint);
    aws_sdk_ec2::Client::from_conf(config.build())
}

/// A client of the CloudWatch at `endpoint`.
pub fn cloudwatch(endpoint: &str) -> aws_sdk_cloudwatch::Client {
    let config = aws_sdk_cloudwatch::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new(REGION))
        .credentials_provider(root())
        .endpoint_url(endpoint);
    aws_sdk_cloudwatch::Client::from_conf(config.build())
}

fn root() -> Credentials {
    Credentials::new(ROOT_ACCESS_KEY_ID, ROOT_SECRET_ACCESS_KEY, None, None, "root")
}
