//! Each EC2 action taken away from the execution role: exactly the operations that need it are denied, and say so.
//!
//! MiniStack enforces the role's actions on EC2. It does not check CreateTags at launch, nor anything on CloudWatch: those
//! denials are in [`crate::denied`] and in [`crate::health`].

use serde_json::{Value, json};
use shared::model::operation::Operation;
use shared::ops::OPERATIONS;
use tests::client::Answer;

use crate::denied::call;
use crate::world::{World, assert_problem, unique, world_with_permissions};

const POLICY_ARN: &str = "arn:aws:iam::123456789012:policy/CMLWorkerManagementPolicy";

fn base_policy() -> Value {
    serde_json::from_str(include_str!("../../iam/CMLWorkerManagementPolicy.json")).unwrap()
}

fn actions(policy: &Value) -> Vec<String> {
    let statements = policy["Statement"].as_array().unwrap().iter();
    statements.flat_map(|s| s["Action"].as_array().unwrap()).map(|a| a.as_str().unwrap().to_owned()).collect()
}

/// The actions that the operations need.
fn needed() -> Vec<String> {
    let mut needed: Vec<_> =
        OPERATIONS.iter().flat_map(|operation| operation.actions).map(|a| (*a).to_owned()).collect();
    needed.sort();
    needed.dedup();
    needed
}

/// The policy without one action.
fn without(action: &str) -> Value {
    let mut policy = base_policy();
    for statement in policy["Statement"].as_array_mut().unwrap() {
        statement["Action"].as_array_mut().unwrap().retain(|known| known != action);
    }
    policy
}

/// Makes `policy` the one in force. IAM keeps five versions; the ones before are of no more use.
async fn put_policy(world: &World, policy: &Value) {
    let aws = |command: &'static str, arguments: Vec<String>| async move {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        world.stack.run_aws(command, &arguments).await.unwrap()
    };
    let document = policy.to_string();
    let arn = || ["--policy-arn".to_owned(), POLICY_ARN.to_owned()];
    let created = aws(
        "iam create-policy-version --set-as-default",
        [arn().to_vec(), vec!["--policy-document".into(), document]].concat(),
    )
    .await;
    let created: Value = serde_json::from_str(&created).unwrap();
    let versions: Value = serde_json::from_str(&aws("iam list-policy-versions", arn().to_vec()).await).unwrap();
    for version in versions["Versions"].as_array().unwrap() {
        // The first one stays: the deployment test reads it.
        if version["VersionId"] != created["PolicyVersion"]["VersionId"] && version["VersionId"] != "v1" {
            let id = version["VersionId"].as_str().unwrap().to_owned();
            aws("iam delete-policy-version", [arn().to_vec(), vec!["--version-id".into(), id]].concat()).await;
        }
    }
}

/// Calls every operation so that it changes something if it may. Each has an instance of its own.
async fn call_all(world: &World) -> Vec<(Operation, Answer)> {
    let mut answers = Vec::new();
    for operation in OPERATIONS {
        let id = world.launch().await;
        if operation.name == "start-instance" {
            world.ec2().stop_instances().instance_ids(&id).send().await.unwrap();
        }
        let answer = call(world, &operation, &id, &unique("permission"), &world.stack.info.image_name).await;
        answers.push((operation, answer));
    }
    answers
}

/// What this emulator lets a role do without the permission.
fn is_checked(operation: &Operation, action: &str) -> bool {
    (operation.name, action) != ("create-instance", "ec2:CreateTags") && action != "cloudwatch:GetMetricStatistics"
}

#[tokio::test]
async fn an_action_less_denies_exactly_the_operations_that_need_it() {
    let world = world_with_permissions();
    for (operation, answer) in call_all(world).await {
        assert!(answer.status < 300, "{} with the whole policy: {}", operation.name, answer.text);
    }
    let (mut denied, mut allowed) = (0, 0);
    for action in actions(&base_policy()).iter().filter(|action| action.starts_with("ec2:")) {
        put_policy(world, &without(action)).await;
        for (operation, answer) in call_all(world).await {
            if operation.actions.contains(&action.as_str()) && is_checked(&operation, action) {
                assert_denied(&operation, action, &answer);
                denied += 1;
            } else {
                assert!(answer.status < 300, "{} without {action}: {}", operation.name, answer.text);
                allowed += 1;
            }
        }
    }
    put_policy(world, &base_policy()).await;
    // Counted by the operations' rows and not by the policy, so that an action that the loop left out is noticed.
    let of_ec2 = needed().iter().filter(|action| action.starts_with("ec2:")).count();
    assert_eq!(denied + allowed, of_ec2 * OPERATIONS.len());
}

#[track_caller]
fn assert_denied(operation: &Operation, action: &str, answer: &Answer) {
    if operation.name != "health" {
        assert_problem(answer, 403, "missing_permission");
        assert_eq!(
            (&answer.json["missing_permission"], &answer.json["aws_code"]),
            (&json!(action), &json!("UnauthorizedOperation"))
        );
        return;
    }
    let checks = answer.json["checks"].as_array().unwrap();
    let failed: Vec<_> = checks.iter().filter(|check| check["ok"] == false).collect();
    assert_eq!((answer.status, &answer.json["status"], failed.len()), (200, &json!("degraded"), 1), "{}", answer.text);
    let told = (&failed[0]["name"], &failed[0]["aws_code"]);
    assert_eq!(told, (&json!(action), &json!("UnauthorizedOperation")), "{}", answer.text);
    assert!(failed[0]["error"].as_str().unwrap().contains(action), "{}", answer.text);
}

#[test]
fn the_operations_need_every_action_of_the_policy_and_no_other() {
    let mut granted = actions(&base_policy());
    granted.sort();
    assert_eq!(granted, needed());
}
