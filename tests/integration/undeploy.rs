//! `make undeploy`, against the local AWS: what goes with a stack, what stays behind, and what stands in the way.

use std::collections::BTreeMap;

use tests::stack::{ACCOUNT_ID, REGION};

use crate::upgrade::Deployed;
use crate::world::{assert_ok, unique, world};

/// The program's exit status, and what it printed.
async fn undeploy(stack: &str, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = world().program("tests/smoke/undeploy.py");
    let output = command.args(["--stack", stack]).args(arguments).output().await.unwrap();
    let text = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap()).concat();
    (output.status.code(), text)
}

/// Where something of a stack can be, and how to ask for its name there.
const PLACES: [(&str, &str); 11] = [
    ("cloudformation list-stacks", "StackSummaries[?StackStatus!='DELETE_COMPLETE'].StackName"),
    ("lambda list-functions", "Functions[].FunctionName"),
    ("apigateway get-rest-apis", "items[].name"),
    ("iam list-roles", "Roles[].RoleName"),
    ("iam list-policies --scope Local", "Policies[].PolicyName"),
    ("iam list-instance-profiles", "InstanceProfiles[].InstanceProfileName"),
    ("logs describe-log-groups", "logGroups[].logGroupName"),
    ("events list-rules", "Rules[].Name"),
    ("sns list-topics", "Topics[].TopicArn"),
    ("cloudwatch describe-alarms", "MetricAlarms[].AlarmName"),
    ("cloudwatch list-dashboards", "DashboardEntries[].DashboardName"),
];

/// What the local AWS has of a stack, by place; nothing for a place without any of it.
async fn left_of(stack: &str) -> BTreeMap<&'static str, Vec<String>> {
    let mut left = BTreeMap::new();
    for (place, query) in PLACES {
        let names = world().aws(place, &["--query", query]).await;
        let names = names.as_array().into_iter().flatten().map(|name| name.as_str().unwrap().to_owned());
        let names: Vec<_> = names.filter(|name| name.contains(stack)).collect();
        if !names.is_empty() {
            left.insert(place, names);
        }
    }
    left
}

/// Launches a worker of this stack's.
async fn launch(stack: &Deployed, profile: Option<&str>) -> String {
    let mut body = world().launch_body(&unique(&stack.name));
    body["iam_instance_profile"] = profile.into();
    let launched = stack.api.request("POST", &format!("/regions/{REGION}/instances"), Some(body)).await;
    assert_ok(&launched, 201);
    launched.json["instance_id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_confirmed_removal_leaves_the_workers_and_nothing_of_the_stack() {
    let stack = Deployed::first("removed", &["Monitoring=true", "Sweep=true", "SweepSchedule=rate(1 day)"]).await;
    let worker = launch(&stack, None).await;
    let before = left_of(&stack.name).await;
    assert_eq!(before.len(), PLACES.len(), "{before:?}");

    for arguments in [&[][..], &["--confirm", "210987654321"]] {
        let (status, text) = undeploy(&stack.name, arguments).await;
        assert_eq!(status, Some(2), "{text}");
        assert!(text.contains(&worker) && text.contains(&format!("CONFIRM={ACCOUNT_ID}")), "{text}");
        assert_eq!(left_of(&stack.name).await, before);
    }

    let (status, text) = undeploy(&stack.name, &["--confirm", ACCOUNT_ID]).await;
    assert_eq!(status, Some(0), "{text}");
    assert!(text.contains("is gone") && text.contains("s3://cml-workers-code"), "{text}");
    assert_eq!(left_of(&stack.name).await, BTreeMap::new());
    assert_eq!(world().state(&worker).await, "running");
    let (status, text) = undeploy(&stack.name, &["--confirm", ACCOUNT_ID]).await;
    assert!(status == Some(1) && text.contains("there is no stack"), "{text}");
}

/// A policy that an organization attaches to every role.
const OF_THE_ORGANIZATION: [&str; 4] = [
    "--policy-name",
    "OfTheOrganization",
    "--policy-document",
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"s3:*","Resource":"*"}]}"#,
];

#[tokio::test]
async fn a_stack_whose_role_or_policies_are_in_use_is_not_removed() {
    let stack = Deployed::first("used", &[]).await;
    let profile = format!("CMLWorker-{}", stack.name);
    // EC2 is moto here, and looks for profiles in an IAM of its own.
    let here = ["--instance-profile-name", profile.as_str(), "--endpoint-url", &world().stack.info.ec2_endpoint];
    world().stack.run_aws("iam create-instance-profile", &here).await.unwrap();
    let worker = launch(&stack, Some(&profile)).await;
    let policy = format!("arn:aws:iam::{ACCOUNT_ID}:policy/CMLWorkerCallerReader-{}", stack.name);
    let user = ["--user-name", stack.name.as_str(), "--policy-arn", &policy];
    world().stack.run_aws("iam attach-user-policy", &user).await.unwrap();
    let everybodys = world().aws("iam create-policy", &OF_THE_ORGANIZATION).await["Policy"]["Arn"].clone();
    let role = ["--role-name", &profile, "--policy-arn", everybodys.as_str().unwrap()];
    world().stack.run_aws("iam attach-role-policy", &role).await.unwrap();
    let before = left_of(&stack.name).await;

    let (status, text) = undeploy(&stack.name, &["--confirm", ACCOUNT_ID]).await;
    assert_eq!(status, Some(1), "{text}");
    assert!(text.contains(&format!("the role {profile} has {}", everybodys.as_str().unwrap())), "{text}");
    assert!(text.contains(&format!("instance {worker} in {REGION} runs with the stack's instance profile")), "{text}");
    assert!(text.contains(&format!("the user {} has {policy}", stack.name)), "{text}");
    assert_eq!(left_of(&stack.name).await, before);

    world().stack.run_aws("iam detach-user-policy", &user).await.unwrap();
    world().stack.run_aws("iam detach-role-policy", &role).await.unwrap();
    assert_ok(&stack.api.request("DELETE", &format!("/regions/{REGION}/instances/{worker}"), None).await, 200);
    let (status, text) = undeploy(&stack.name, &["--confirm", ACCOUNT_ID]).await;
    assert_eq!(status, Some(0), "{text}");
}
