//! `GET /health?permissions=true`: with each action denied in turn, it names that action and the operations it breaks.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};
use shared::model::operation::Purpose;
use shared::ops::OPERATIONS;
use tests::stack::{self, repository};
use tests::stub::{Recorded, Reply, Script, Times};

use crate::functions::{Functions, ROOT};

/// `events/health.json` with the query `permissions=true`.
fn event(functions: &Functions) -> PathBuf {
    let mut event: Value =
        serde_json::from_str(&fs::read_to_string(repository().join("events/health.json")).unwrap()).unwrap();
    event["queryStringParameters"] = json!({"permissions": "true"});
    event["multiValueQueryStringParameters"] = json!({"permissions": ["true"]});
    let path = functions.aws.folder().join("health-permissions.json");
    fs::write(&path, event.to_string()).unwrap();
    path
}

async fn permissions(functions: &Functions) -> (Value, Vec<Value>) {
    let answer = functions.invoke("health", &event(functions)).await;
    assert_eq!(answer["statusCode"], 200, "{answer}");
    let health: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
    let permissions = health["permissions"].as_array().unwrap().clone();
    (health, permissions)
}

fn with<'a>(permissions: &'a [Value], verdict: &str) -> Vec<&'a str> {
    let those = permissions.iter().filter(|permission| permission["verdict"] == verdict);
    those.map(|permission| permission["action"].as_str().unwrap()).collect()
}

fn actions() -> Vec<&'static str> {
    let mut actions: Vec<&str> = OPERATIONS.iter().flat_map(|operation| operation.actions).copied().collect();
    actions.sort_unstable();
    actions.dedup();
    actions
}

/// Whether the account's first Spot launch was made no dry run says.
const SPOT_ROLE: &str = "iam:CreateServiceLinkedRole";

/// Where to go if the two differ.
const ASKED: &str = "what shared/src/ops/health/self_test/mod.rs asks about, and what the operations need";

/// Denies the action, as AWS does: with its name in the message where EC2 gives it, without where CloudWatch does.
fn deny(functions: &Functions, action: &str) -> Script {
    let name = action.split_once(':').unwrap().1.to_owned();
    let is_it = move |request: &Recorded| request.action == name;
    if action.starts_with("cloudwatch:") {
        return functions.cloudwatch_stub.script(
            is_it,
            Times::Always,
            Reply::cloudwatch_error(403, "AccessDenied", "denied"),
        );
    }
    let message = format!(
        "You are not authorized to perform this operation. User: arn:aws:sts::123456789012:assumed-role/cml/cml is not authorized to perform: \
         {action} on resource: * because no identity-based policy allows the {action} action"
    );
    functions.ec2_stub.script(is_it, Times::Always, Reply::ec2_error(403, "UnauthorizedOperation", &message))
}

/// Calls that change something and were no dry run.
fn mutations(functions: &Functions) -> Vec<String> {
    let is_mutation = |r: &Recorded| !r.action.starts_with("Describe") && r.param("DryRun") != Some("true");
    functions.ec2_stub.requests_matching(is_mutation).into_iter().map(|request| request.action).collect()
}

#[tokio::test]
async fn each_action_denied_in_turn_is_named_and_nothing_is_changed() {
    let mut functions = Functions::start(&[]).await;
    // Of this account are the statements to add.
    let role = [("CML_WORKER_ROLE_ARN", "arn:aws:iam::123456789012:role/CMLWorker")];
    functions.add("health", "health", &[ROOT.as_slice(), &role].concat()).await;
    let (health, all) = permissions(&functions).await;
    assert_eq!((&health["status"], with(&all, "allowed")), (&json!("ok"), actions()), "{ASKED}");
    assert_eq!(with(&all, "unknown"), [SPOT_ROLE]);
    for action in actions() {
        let script = deny(&functions, action);
        let (health, permissions) = permissions(&functions).await;
        assert!(script.hits() > 0, "{action} was not tried");
        assert_eq!((&health["status"], with(&permissions, "denied")), (&json!("degraded"), vec![action]));
        let denied = permissions.iter().find(|permission| permission["action"] == action).unwrap();
        let needing = OPERATIONS.iter().filter(|operation| operation.actions.contains(&action));
        assert_eq!(denied["broken_operations"], json!(needing.map(|operation| operation.name).collect::<Vec<_>>()));
        assert_eq!(denied["policy_statements"][0]["Action"], action);
        // What could not be asked without it is unknown, never denied.
        let unknown = with(&permissions, "unknown");
        let expected = match action {
            "ec2:DescribeImages" => vec!["ec2:RunInstances"],
            "ec2:DescribeInstances" => actions().into_iter().filter(|a| is_asked_of_an_instance(a)).collect(),
            _ => vec![],
        };
        assert_eq!(unknown, [expected, vec![SPOT_ROLE]].concat(), "{action}");
    }
    assert_eq!(mutations(&functions), [""; 0]);
    let demo = stack::ec2(&functions.aws.ec2_endpoint()).describe_instances().send().await.unwrap();
    assert!(
        demo.reservations()
            .iter()
            .flat_map(|r| r.instances())
            .all(|i| i.state().unwrap().name().unwrap().as_str() == "running")
    );

    // The recorder would have seen one.
    let stop = stack::ec2(functions.ec2_stub.endpoint()).stop_instances().instance_ids(&functions.aws.workers.demo[0]);
    stop.send().await.unwrap();
    assert_eq!(mutations(&functions), ["StopInstances"]);
    functions.aws.stop().unwrap();
}

/// A launch is the one change that needs no instance.
fn is_asked_of_an_instance(action: &str) -> bool {
    let mut calls = OPERATIONS.iter().flat_map(|operation| operation.calls);
    action != "ec2:RunInstances" && calls.any(|call| call.action == action && call.purpose == Purpose::Change)
}
