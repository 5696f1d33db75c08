//! The policy files, with the parameters of one imagined deployment.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use shared::config::Config;
use tests::iam::{Parameters, render};
use tests::stack::{ACCOUNT_ID, REGION, repository};

/// The policies of `iam/`, without `.json`.
pub const FILES: [&str; 11] = [
    "CMLWorkerLimitsPolicy",
    "CMLWorkerManagementPolicy",
    "CMLWorkerManagementPolicy.guardrail",
    "CMLWorkerManagementPolicy.hardened",
    "CMLWorkerSweepPolicy",
    "adopter",
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

/// The event bus on which the sweep publishes each change of a worker.
pub const EVENT_BUS: &str = "cml-events";

/// The subnets that workers may be launched into.
pub const SUBNETS: [&str; 2] = ["subnet-0bbbbbbbbbbbbbbb1", "subnet-0bbbbbbbbbbbbbbb2"];
/// The security groups that they may be launched with.
pub const GROUPS: [&str; 2] = ["sg-0bbbbbbbbbbbbbbb1", "sg-0bbbbbbbbbbbbbbb2"];

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
        ("AllowedKeyNames", &["lab-*", "ops"]),
        ("AllowedRegions", &[REGION, "us-west-2"]),
        ("AllowedSecurityGroups", &GROUPS),
        ("AllowedSourceCidrs", &["203.0.113.0/24", "198.51.100.7/32"]),
        ("AllowedSubnets", &SUBNETS),
        ("AllowedTagKeys", &["Name", "ManagedBy", "CreatedBy", "IdempotencyFingerprint", "cml:*", "Cost?Center"]),
        ("EventBusName", &[EVENT_BUS]),
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

/// The configuration of that deployment's functions.
pub fn configuration() -> Config {
    let parameters = parameters();
    let given = |name: &str| parameters.get(name).map(|values| values.join(","));
    let variable = |name: &str| match name {
        "AWS_REGION" => given("AWS::Region"),
        "CML_MANAGED_BY" => given("ManagedBy"),
        "CML_ALLOWED_REGIONS" => given("AllowedRegions"),
        "CML_ALLOWED_INSTANCE_TYPES" => given("AllowedInstanceTypes"),
        "CML_IMAGE_OWNERS" => Some(PARTNER.to_owned()),
        "CML_IMAGE_PARAMETER_ARNS" => given("ImageParameterArns"),
        "CML_NETWORK_OWNERS" => given("NetworkOwners"),
        "CML_KMS_KEY_ARNS" => given("KmsKeyArns"),
        "CML_WORKER_ROLE_ARN" => Some(format!("arn:aws:iam::{ACCOUNT_ID}:role/CMLWorker")),
        _ => None,
    };
    Config::read(variable).unwrap()
}

fn actions_of(statement: &Value) -> Vec<String> {
    let actions = &statement["Action"];
    let actions = actions.as_array().cloned().unwrap_or_else(|| vec![actions.clone()]);
    actions.iter().map(|action| action.as_str().unwrap().to_owned()).collect()
}

/// Every action that a policy is about.
pub fn actions(policy: &Value) -> BTreeSet<String> {
    policy["Statement"].as_array().unwrap().iter().flat_map(actions_of).collect()
}

/// The policy with statements pasted into it. IAM: "the Sid value must be unique within a JSON policy".
pub fn with(policy: &Value, statements: &[Value]) -> Value {
    let mut policy = policy.clone();
    let all = policy["Statement"].as_array_mut().unwrap();
    all.extend_from_slice(statements);
    let names: Vec<&str> = all.iter().filter_map(|statement| statement["Sid"].as_str()).collect();
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "{names:?}");
    policy
}

/// The policy without an action.
pub fn without(policy: &Value, action: &str) -> Value {
    let mut policy = policy.clone();
    let statements = policy["Statement"].as_array_mut().unwrap();
    for statement in statements.iter_mut() {
        statement["Action"] = actions_of(statement).into_iter().filter(|one| one != action).collect();
    }
    statements.retain(|statement| statement["Action"] != json!([]));
    policy
}

/// API Gateway writes the ARN of the API that a resource policy is attached to for `execute-api:/`.
fn expand_own_api(policy: Value) -> Value {
    let own = format!("\"arn:aws:execute-api:{REGION}:{ACCOUNT_ID}:{REST_API_ID}/");
    serde_json::from_str(&policy.to_string().replace("\"execute-api:/", &own)).unwrap()
}
