//! The policies that the template deploys are those of `iam/`, filled with what the stack was deployed with.

use std::collections::BTreeMap;

use serde_json::Value;
use tests::iam::{Parameters, render};
use tests::stack::{ACCOUNT_ID, REGION, STACK_NAME};

use super::files::template;
use crate::world::world;

/// The managed policies of every mode, and the files that they are.
const CALLER_POLICIES: [(&str, &str); 3] = [
    ("CMLWorkerCallerReader", "caller-reader"),
    ("CMLWorkerCallerOperator", "caller-operator"),
    ("CMLWorkerCallerLauncher", "caller-launcher"),
];

async fn aws(command: &str, arguments: &[&str]) -> Value {
    serde_json::from_str(&world().stack.run_aws(command, arguments).await.unwrap()).unwrap()
}

/// The parameters of the stack, as CloudFormation has them.
async fn stack_parameters() -> BTreeMap<String, String> {
    let query = "Stacks[0].Parameters[].[ParameterKey, ParameterValue]";
    let arguments = ["--stack-name", STACK_NAME, "--query", query];
    serde_json::from_value::<Vec<(String, String)>>(aws("cloudformation describe-stacks", &arguments).await)
        .unwrap()
        .into_iter()
        .collect()
}

/// What the template makes of them: an empty list of regions is the stack's own, and the account is always an owner.
fn rendering(stack: &BTreeMap<String, String>) -> Parameters {
    let others = stack["ImageOwners"].split(',').filter(|owner| !owner.is_empty());
    let owners = std::iter::once(ACCOUNT_ID).chain(others).map(str::to_owned).collect();
    let given = |name: &'static str, own: &str| {
        let value = Some(stack[name].as_str()).filter(|value| !value.is_empty()).unwrap_or(own);
        (name, value.split(',').map(str::to_owned).collect())
    };
    let known = |name, value: &str| (name, vec![value.to_owned()]);
    Parameters::from([
        known("AWS::AccountId", ACCOUNT_ID),
        known("AWS::Partition", "aws"),
        known("AWS::Region", REGION),
        known("ManagedBy", &stack["ManagedBy"]),
        known("NameSuffix", &stack["NameSuffix"]),
        known("RestApiId", &world().stack.info.rest_api_id),
        known("WorkerRoleName", &stack["WorkerRoleName"]),
        given("AllowedInstanceTypes", ""),
        given("AllowedRegions", REGION),
        given("AllowedSourceCidrs", ""),
        ("ImageOwners", owners),
        given("NetworkOwners", ""),
        given("ImageParameterArns", ""),
        given("KmsKeyArns", ""),
    ])
}

/// A file as the stack should have it. Without keys or parameters the template leaves the statements about them out, and
/// without a restriction of addresses the one about them.
fn expected(file: &str, stack: &BTreeMap<String, String>) -> Value {
    let idle = |statement: &Value| {
        let names = |parameter: &str| statement.to_string().contains(&format!("${{{parameter}}}"));
        ["ImageParameterArns", "KmsKeyArns", "NetworkOwners"].iter().any(|list| names(list) && stack[*list].is_empty())
            || (names("AllowedSourceCidrs") && stack["AllowedSourceCidrs"] == "0.0.0.0/0")
    };
    let mut policy = template(file);
    policy["Statement"].as_array_mut().unwrap().retain(|statement| !idle(statement));
    render(&policy, &rendering(stack)).unwrap()
}

async fn managed_policy(name: &str) -> Value {
    let arn = format!("arn:aws:iam::{ACCOUNT_ID}:policy/{name}");
    let policy = aws("iam get-policy", &["--policy-arn", &arn]).await;
    let version = policy["Policy"]["DefaultVersionId"].as_str().unwrap();
    let version = aws("iam get-policy-version", &["--policy-arn", &arn, "--version-id", version]).await;
    document(&version["PolicyVersion"]["Document"])
}

/// The CLI decodes a document; some emulators give it as text.
fn document(document: &Value) -> Value {
    document.as_str().map_or_else(|| document.clone(), |text| serde_json::from_str(text).unwrap())
}

/// A policy means the same with one element as with a list of one, and a list the same in each order.
fn normal(policy: &Value) -> Value {
    match policy {
        Value::Array(elements) if elements.len() == 1 => normal(&elements[0]),
        Value::Array(elements) => elements.iter().map(normal).collect(),
        Value::Object(members) => members.iter().map(|(name, value)| (name.clone(), normal(value))).collect(),
        other => other.clone(),
    }
}

#[track_caller]
fn assert_same(what: &str, deployed: &Value, file: &str, stack: &BTreeMap<String, String>) {
    assert_eq!(normal(deployed), normal(&expected(file, stack)), "{what} is not iam/{file}.json");
}

#[tokio::test]
async fn the_role_has_the_policy_of_its_mode() {
    let stack = stack_parameters().await;
    let mode = stack["PolicyMode"].as_str();
    let file = if mode == "hardened" { "CMLWorkerManagementPolicy.hardened" } else { "CMLWorkerManagementPolicy" };
    let deployed = managed_policy("CMLWorkerManagementPolicy").await;
    assert_same("CMLWorkerManagementPolicy", &deployed, file, &stack);
    if mode == "guardrail" {
        let deployed = managed_policy("CMLWorkerGuardrailPolicy").await;
        assert_same("CMLWorkerGuardrailPolicy", &deployed, "CMLWorkerManagementPolicy.guardrail", &stack);
    }
}

#[tokio::test]
async fn callers_are_offered_the_policies_of_their_files() {
    let stack = stack_parameters().await;
    for (name, file) in CALLER_POLICIES {
        assert_same(name, &managed_policy(name).await, file, &stack);
    }
}

#[tokio::test]
async fn workers_have_the_role_of_its_files() {
    let stack = stack_parameters().await;
    let role = stack["WorkerRoleName"].as_str();
    let policy = aws("iam get-role-policy --policy-name Worker", &["--role-name", role]).await;
    assert_same(role, &document(&policy["PolicyDocument"]), "worker-role", &stack);
    let trust = aws("iam get-role", &["--role-name", role]).await;
    let trust = document(&trust["Role"]["AssumeRolePolicyDocument"]);
    assert_same("who may be a worker", &trust, "worker-role.trust", &stack);
}
