//! The policy files, with the parameters of one imagined deployment.

use serde_json::Value;
use tests::iam::{Parameters, render};
use tests::stack::{ACCOUNT_ID, REGION, repository};

/// The policies of `iam/`, without `.json`.
pub const FILES: [&str; 8] = [
    "CMLWorkerManagementPolicy",
    "CMLWorkerManagementPolicy.guardrail",
    "CMLWorkerManagementPolicy.hardened",
    "api-resource-policy",
    "caller-launcher",
    "caller-operator",
    "caller-reader",
    "worker-role",
];

/// The API's id.
pub const REST_API_ID: &str = "a1b2c3d4e5";
/// A customer key that the deployment may use.
pub const KEY: &str = "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555";
/// Another one, in the deployment's other region.
pub const SECOND_KEY: &str = "arn:aws:kms:us-west-2:123456789012:key/66666666-7777-8888-9999-000000000000";
/// A parameter that may name images.
pub const IMAGE_PARAMETER: &str = "arn:aws:ssm:us-east-1:123456789012:parameter/cml/worker-image";
/// Another one.
pub const SECOND_IMAGE_PARAMETER: &str = "arn:aws:ssm:us-west-2:123456789012:parameter/cml/worker-image";
/// A partner account whose images are trusted, and that shares subnets and security groups with ours.
pub const PARTNER: &str = "111122223333";
/// Another account that shares them.
pub const NETWORK_OWNER: &str = "444455556666";

/// A policy as it is deployed.
pub fn policy(file: &str) -> Value {
    expand_own_api(render(&template(file), &parameters()).unwrap())
}

/// A policy file as it is.
pub fn template(file: &str) -> Value {
    let path = repository().join("iam").join(format!("{file}.json"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap()
}

/// A deployment that restricts everything that can be restricted, and where it can give a list gives two values.
fn parameters() -> Parameters {
    [
        ("AWS::AccountId", [ACCOUNT_ID].as_slice()),
        ("AWS::Partition", &["aws"]),
        ("AWS::Region", &[REGION]),
        ("AllowedInstanceTypes", &["c5.*", "c6i.*", "m5.*", "m5zn.metal", "c8i.*", "m8i.*", "r8i.*"]),
        ("AllowedRegions", &[REGION, "us-west-2"]),
        ("AllowedSourceCidrs", &["203.0.113.0/24", "198.51.100.7/32"]),
        ("ImageOwners", &[ACCOUNT_ID, PARTNER]),
        ("ImageParameterArns", &[IMAGE_PARAMETER, SECOND_IMAGE_PARAMETER]),
        ("KmsKeyArns", &[KEY, SECOND_KEY]),
        ("ManagedBy", &["cml-cloud-manager"]),
        ("NameSuffix", &[""]),
        ("NetworkOwners", &[PARTNER, NETWORK_OWNER]),
        ("RestApiId", &[REST_API_ID]),
        ("WorkerRoleName", &["CMLWorker"]),
    ]
    .map(|(name, values)| (name, values.iter().map(|value| (*value).to_owned()).collect()))
    .into()
}

/// API Gateway writes the ARN of the API that a resource policy is attached to for `execute-api:/`.
fn expand_own_api(policy: Value) -> Value {
    let own = format!("\"arn:aws:execute-api:{REGION}:{ACCOUNT_ID}:{REST_API_ID}/");
    serde_json::from_str(&policy.to_string().replace("\"execute-api:/", &own)).unwrap()
}
