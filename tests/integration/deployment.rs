//! What `template.yaml` makes of itself once it is deployed.

use std::time::{Duration, Instant};

use serde_json::Value;
use tests::stack::{STACK_NAME, repository, tool};

use crate::world::{world, world_with_permissions};

#[tokio::test]
async fn in_base_mode_the_deployed_policy_is_the_file() {
    let world = world_with_permissions();
    let arn = "arn:aws:iam::123456789012:policy/CMLWorkerManagementPolicy";
    // The first version: the permissions test puts others in its place.
    let deployed = world.aws("iam get-policy-version", &["--policy-arn", arn, "--version-id", "v1"]).await;
    let file: Value = serde_json::from_str(include_str!("../../iam/CMLWorkerManagementPolicy.json")).unwrap();
    assert_eq!(deployed["PolicyVersion"]["Document"], file);
}

#[tokio::test]
async fn functions_run_with_the_role_that_has_the_policy() {
    let role = world().execution_role(STACK_NAME).await;
    let attached = world().aws("iam list-attached-role-policies", &["--role-name", &role]).await;
    assert_eq!(attached["AttachedPolicies"][0]["PolicyName"], "CMLWorkerManagementPolicy");
    let functions = world().aws("lambda list-functions", &[]).await;
    let functions = functions["Functions"].as_array().unwrap();
    for operation in shared::ops::OPERATIONS {
        let name = format!("{STACK_NAME}-{}", operation.name);
        let function = functions.iter().find(|function| function["FunctionName"] == name).expect(&name);
        assert!(function["Role"].as_str().unwrap().ends_with(&format!("role/{role}")), "{name}");
        let variables = function["Environment"]["Variables"].as_object().unwrap();
        assert!(variables.keys().all(|name| name.starts_with("CML_")), "{variables:?}");
        assert!(!variables.contains_key("CML_ON_IDLE"), "{name}: {variables:?}");
        // Below API Gateway's 29 seconds, so that its caller gets the function's own answer.
        assert!(function["Timeout"].as_u64().unwrap() < 29, "{name}");
    }
}

/// SAM's own transformation, as AWS runs it: MiniStack hides whose credentials API Gateway invokes with.
#[tokio::test]
async fn api_gateway_invokes_by_permission_and_not_with_caller_credentials() {
    let output = tokio::process::Command::new(tool("python").unwrap())
        .arg(repository().join("tests/template/transform.py"))
        .arg(world().stack.aws.folder().join("packaged.yaml"))
        .output()
        .await
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let transformed = String::from_utf8(output.stdout).unwrap();
    assert!(transformed.contains("x-amazon-apigateway-integration") && transformed.contains("AWS::Lambda::Permission"));
    assert!(!transformed.to_lowercase().contains("\"credentials\""), "{transformed}");
}

#[tokio::test]
async fn the_schedule_reaches_health() {
    let log_group = format!("/aws/lambda/{STACK_NAME}-health");
    let is_scheduled = |message: &str| message.replace('\\', "").contains(r#"scheduled, answered {"status":"ok""#);
    let deadline = Instant::now() + Duration::from_secs(150);
    loop {
        let events = world().aws("logs filter-log-events --log-group-name", &[&log_group]).await;
        let events = events["events"].as_array().unwrap();
        if events.iter().any(|event| is_scheduled(event["message"].as_str().unwrap())) {
            return;
        }
        assert!(Instant::now() < deadline, "no scheduled health check in the log: {events:?}");
        // The schedule is EventBridge's; there is nothing to wait on but its trace.
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
}

#[test]
fn no_access_key_stands_in_the_template() {
    let template = std::fs::read_to_string(repository().join("template.yaml")).unwrap();
    for word in ["AWS_ACCESS_KEY", "AWS_SECRET", "AKIA", "ASIA", "AccessKey"] {
        assert!(!template.contains(word), "{word}");
    }
}
