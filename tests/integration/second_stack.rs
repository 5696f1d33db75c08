//! A second stack beside the first, in one account and region: with a suffix, every list with two entries, and the audit.

use std::collections::BTreeSet;

use serde_json::json;
use tests::client::Client;
use tests::stack::STACK_NAME;
use tokio::sync::OnceCell;

use crate::policies::deployed::Deployed;
use crate::world::{REGION, assert_ok, assert_problem, unique, world};

const LAB: &str = "cml-lab";

const PARAMETERS: [&str; 12] = [
    "NameSuffix=-lab",
    "ManagedBy=lab",
    "Audit=true",
    "HealthSchedule=rate(1 day)",
    "AllowedRegions=us-east-1,us-west-2",
    "AllowedInstanceTypes=c5.*,m5zn.metal",
    "AllowedSourceCidrs=127.0.0.0/8,203.0.113.0/24",
    "ImageOwners=999988887777,amazon",
    "ImageParameterArns=arn:aws:ssm:us-east-1:123456789012:parameter/cml/*,arn:aws:ssm:us-east-1::parameter/aws/service/ami-amazon-linux-latest/*",
    "KmsKeyArns=arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555,arn:aws:kms:us-west-2:123456789012:key/66666666-7777-8888-9999-000000000000",
    "NetworkOwners=111122223333,444455556666",
    "RolesOfPeople=lab-*,okta",
];

/// The API of the second stack, deployed once.
async fn lab() -> &'static Client {
    static API: OnceCell<Client> = OnceCell::const_new();
    API.get_or_init(deploy).await
}

async fn deploy() -> Client {
    let stack = &world().stack;
    let id = stack.deploy_beside(LAB, &PARAMETERS.map(str::to_owned)).await.unwrap();
    let url = stack.info.api_url.replace(&stack.info.rest_api_id, &id);
    let key = stack.add_caller_of(&id, &unique("lab"), &["*"]).await.unwrap();
    Client::new(&url, REGION, &key.access_key_id, &key.secret_access_key)
}

/// The type and physical id of every resource of a stack.
async fn resources_of(stack: &str) -> Vec<(String, String)> {
    let query = "StackResources[].[ResourceType, PhysicalResourceId]";
    let found =
        world().aws("cloudformation describe-stack-resources", &["--stack-name", stack, "--query", query]).await;
    serde_json::from_value(found).unwrap()
}

#[tokio::test]
async fn a_second_stack_has_iam_names_of_its_own() {
    lab().await;
    let iam_names = async |stack| {
        let resources = resources_of(stack).await.into_iter();
        resources.filter(|(kind, _)| kind.starts_with("AWS::IAM::")).map(|(_, id)| id).collect::<BTreeSet<_>>()
    };
    let (first, second) = (iam_names(STACK_NAME).await, iam_names(LAB).await);
    assert!(first.is_disjoint(&second), "{first:?} {second:?}");
    assert_eq!(second.iter().filter(|name| name.ends_with("-lab")).count(), 6, "{second:?}");
    assert!(first.contains("CMLWorker") && second.contains("CMLWorker-lab"), "{first:?} {second:?}");
}

#[test]
fn every_list_of_the_template_has_two_entries_here() {
    let template = std::fs::read_to_string(tests::stack::repository().join("template.yaml")).unwrap();
    let parameters = template.split_once("\nConditions:").unwrap().0;
    let mut parameter = "";
    let mut lists = Vec::new();
    for line in parameters.lines() {
        if let Some(name) = line.strip_prefix("  ").and_then(|line| line.strip_suffix(':')) {
            parameter = name;
        }
        // The two lists of the alarms have defaults with many entries.
        if line.contains("separated by commas")
            && line.contains("ConstraintDescription")
            && !parameter.starts_with("Business")
        {
            lists.push(parameter);
        }
    }
    let given =
        |list: &&str| PARAMETERS.iter().any(|given| given.starts_with(&format!("{list}=")) && given.contains(','));
    let missing: Vec<_> = lists.iter().filter(|list| !given(list)).collect();
    assert!(lists.len() >= 7 && missing.is_empty(), "{lists:?}, without two entries: {missing:?}");
}

#[tokio::test]
async fn with_two_entries_in_every_list_the_deployed_policies_are_the_files() {
    lab().await;
    let deployed = Deployed::named(LAB).await;
    deployed.assert_policy_of_mode().await;
    deployed.assert_caller_policies().await;
    deployed.assert_worker_role().await;
}

#[tokio::test]
async fn each_stack_keeps_to_its_own_workers() {
    let name = unique("lab");
    let mut body = world().launch_body(&name);
    body["instance_type"] = json!("c5.large");
    let launched = lab().await.request("POST", &format!("/regions/{REGION}/instances"), Some(body)).await;
    assert_ok(&launched, 201);
    let id = launched.json["instance_id"].as_str().unwrap();
    assert_eq!(world().tags(id).await["ManagedBy"], "lab");

    let path = format!("/regions/{REGION}/instances/{id}");
    assert_problem(&world().api.request("DELETE", &path, None).await, 403, "not_managed");
    assert_eq!(world().state(id).await, "running");
    assert_ok(&lab().await.request("DELETE", &path, None).await, 200);
    let other = world().launch().await;
    let other = format!("/regions/{REGION}/instances/{other}");
    assert_problem(&lab().await.request("DELETE", &other, None).await, 403, "not_managed");
}

#[tokio::test]
async fn a_caller_of_the_first_api_is_refused_by_the_second() {
    let key = world().stack.add_caller(&unique("first-only"), &["*"]).await.unwrap();
    let url = lab().await.url();
    let stranger = Client::new(url, REGION, &key.access_key_id, &key.secret_access_key);
    assert_eq!(stranger.request("GET", "/health", None).await.status, 403);
    assert_eq!(lab().await.request("GET", "/health", None).await.status, 200);
}

#[tokio::test]
async fn the_audit_is_deployed_with_its_trail_filters_and_alarms() {
    lab().await;
    let nested = resources_of(LAB).await.into_iter().find(|(kind, _)| kind == "AWS::CloudFormation::Stack").unwrap().1;
    let made = resources_of(&nested).await;
    let text = std::fs::read_to_string(tests::stack::repository().join("iam/audit.yaml")).unwrap();
    let in_template: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("    Type: AWS::")).collect();
    for kind in in_template.iter().collect::<BTreeSet<_>>() {
        let kind = format!("AWS::{kind}");
        // Without AlarmEmail there is no subscription.
        if kind != "AWS::SNS::Subscription" {
            assert!(made.iter().any(|(made, _)| *made == kind), "{kind} in {made:?}");
        }
    }
    let trail = world().aws("cloudtrail get-trail-status --name", &["cml-lab-us-east-1-audit"]).await;
    assert_eq!(trail["IsLogging"], true, "{trail}");
    let alarms = world().aws("cloudwatch describe-alarms --alarm-name-prefix", &[LAB]).await;
    assert_eq!(alarms["MetricAlarms"].as_array().unwrap().len(), 5, "{alarms}");
    let filters = world().aws("logs describe-metric-filters --log-group-name", &["/aws/cloudtrail/cml-lab"]).await;
    assert_eq!(filters["metricFilters"].as_array().unwrap().len(), 4, "{filters}");
}
