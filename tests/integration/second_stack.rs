//! A second stack beside the first, in one account and region: with a suffix, every list with two entries, and the audit.

use std::collections::BTreeSet;

use aws_sdk_ec2::types::Filter;
use serde_json::{Value, json};
use tests::client::Client;
use tests::stack::{STACK_NAME, ec2_in};
use tokio::sync::OnceCell;

use crate::policies::deployed::Deployed;
use crate::world::{REGION, assert_ok, assert_problem, assert_refused, unique, world};

const LAB: &str = "cml-lab";

/// The other region.
const WEST: &str = "us-west-2";

/// The parameters of the second stack, whose workers are launched into one of these subnets, one in each region, with one of
/// these groups and this key pair.
fn parameters(subnets: [&str; 2], groups: [&str; 2], key: &str) -> Vec<String> {
    let of_this_run = [
        format!("AllowedSubnets={}", subnets.join(",")),
        format!("AllowedSecurityGroups={}", groups.join(",")),
        format!("AllowedKeyNames={key},lab-*"),
    ];
    let others = [
        "NameSuffix=-lab",
        "ManagedBy=lab",
        "Audit=true",
        "ApiGatewayLogsRole=existing",
        "HealthSchedule=rate(1 day)",
        "SweepSchedule=rate(1 day)",
        "OnIdle=stop",
        "OnOrphan=terminate",
        "EventBusName=cml-lab",
        "AllowedRegions=us-east-1,us-west-2",
        "AllowedInstanceTypes=c5.*,m5zn.metal",
        "AllowedTagKeys=cml:*,Cost?Center",
        "AllowedSourceCidrs=127.0.0.0/8,203.0.113.0/24",
        "ImageOwners=999988887777,amazon",
        "ImageParameterArns=arn:aws:ssm:us-east-1:123456789012:parameter/cml/*,arn:aws:ssm:us-east-1::parameter/aws/service/ami-amazon-linux-latest/*",
        "KmsKeyArns=arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555,arn:aws:kms:us-west-2:123456789012:key/66666666-7777-8888-9999-000000000000",
        "NetworkOwners=111122223333,444455556666",
        "RolesOfPeople=lab-*,okta",
    ];
    of_this_run.into_iter().chain(others.map(str::to_owned)).collect()
}

/// What the emulated EC2 has of its own in the other region.
struct West {
    subnet_id: String,
    security_group_id: String,
    image_id: String,
}

impl West {
    async fn of_this_run() -> Self {
        let ec2 = west();
        let subnets = ec2.describe_subnets().send().await.unwrap();
        let subnet = &subnets.subnets()[0];
        let of_vpc = Filter::builder().name("vpc-id").values(subnet.vpc_id().unwrap()).build();
        let groups = ec2.describe_security_groups().filters(of_vpc).send().await.unwrap();
        let images = ec2.describe_images().send().await.unwrap();
        Self {
            subnet_id: subnet.subnet_id().unwrap().to_owned(),
            security_group_id: groups.security_groups()[0].group_id().unwrap().to_owned(),
            image_id: images.images()[0].image_id().unwrap().to_owned(),
        }
    }
}

/// EC2 itself in the other region.
fn west() -> aws_sdk_ec2::Client {
    ec2_in(WEST, &world().stack.info.ec2_endpoint)
}

/// The API of the second stack, deployed once.
async fn lab() -> &'static Client {
    static API: OnceCell<Client> = OnceCell::const_new();
    API.get_or_init(deploy).await
}

async fn deploy() -> Client {
    let stack = &world().stack;
    let info = &stack.info;
    let west = West::of_this_run().await;
    let subnets = [info.subnet_id.as_str(), &west.subnet_id];
    let parameters = parameters(subnets, [&info.security_group_id, &west.security_group_id], &info.key_name);
    let id = stack.deploy_beside(LAB, &parameters).await.unwrap();
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
    assert_eq!(second.iter().filter(|name| name.ends_with("-lab")).count(), 8, "{second:?}");
    assert!(first.contains("CMLWorker") && second.contains("CMLWorker-lab"), "{first:?} {second:?}");
}

#[test]
fn every_list_of_the_template_has_two_entries_here() {
    let template = std::fs::read_to_string(tests::stack::repository().join("template.yaml")).unwrap();
    let text = template.split_once("\nConditions:").unwrap().0;
    let mut parameter = "";
    let mut lists = Vec::new();
    for line in text.lines() {
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
    let parameters = parameters([""; 2], [""; 2], "");
    let given =
        |list: &&str| parameters.iter().any(|given| given.starts_with(&format!("{list}=")) && given.contains(','));
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
    let sids = ["ReadWorkers", "MarkManaged", "StopManaged", "TerminateManaged", "TellChanges"];
    deployed.assert_sweep_policy(&sids).await;
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
async fn each_region_is_asked_by_itself() {
    let made = West::of_this_run().await;
    let body = json!({
        "name": unique("lab"), "image_id": made.image_id, "instance_type": "c5.large", "subnet_id": made.subnet_id,
        "security_group_ids": [made.security_group_id],
    });
    let instances = |region: &str| format!("/regions/{region}/instances");
    let launched = lab().await.request("POST", &instances(WEST), Some(body)).await;
    assert_ok(&launched, 201);
    assert_eq!(launched.json["region"], WEST);
    let id = launched.json["instance_id"].as_str().unwrap();
    let found = west().describe_instances().instance_ids(id).send().await.unwrap();
    assert_eq!(found.reservations().len(), 1);

    let get = async |path: String| lab().await.request("GET", &path, None).await;
    assert_ok(&get(format!("{}/{id}", instances(WEST))).await, 200);
    assert_problem(&get(format!("{}/{id}", instances(REGION))).await, 404, "instance_not_found");
    let listed = async |region| get(instances(region)).await.text.contains(id);
    assert!(listed(WEST).await && !listed(REGION).await);
    let health = get("/health".to_owned()).await;
    let checks = health.json["checks"].as_array().unwrap().iter();
    let regions: BTreeSet<&str> = checks.map(|check| check["region"].as_str().unwrap()).collect();
    assert_eq!(regions, BTreeSet::from([REGION, WEST]), "{}", health.text);
}

#[tokio::test]
async fn a_launch_names_only_what_the_lists_have() {
    let url = format!("/regions/{REGION}/instances");
    let name = unique("lab");
    let mut body = world().launch_body(&name);
    body["instance_type"] = json!("c5.large");
    let bad = [
        ("subnet_id", "subnet_id", json!("subnet-0eeeeeeeeeeeeeee0")),
        ("subnet_id", "subnet_id", json!(null)),
        ("security_group_ids", "security_group_ids[0]", json!(["sg-0eeeeeeeeeeeeeee0"])),
        ("security_group_ids", "security_group_ids", json!([])),
        ("key_name", "key_name", json!("root")),
        ("tags", "tags.Trusted", json!({"Trusted": "yes"})),
        ("alternatives", "alternatives[0].subnet_id", json!([{"subnet_id": "subnet-0eeeeeeeeeeeeeee0"}])),
    ];
    for (member, field, value) in bad {
        let mut body = body.clone();
        body[member] = value;
        let refused = lab().await.request("POST", &url, Some(body)).await;
        assert_refused(&refused, &[field]);
    }
    let sent = world().ec2_stub.requests_matching(move |call| call.params.values().any(|value| *value == name));
    assert!(sent.is_empty(), "{sent:?}");
    body["tags"] = json!({"cml:site": "a", "Cost Center": "b"});
    assert_ok(&lab().await.request("POST", &url, Some(body)).await, 201);
}

#[tokio::test]
async fn tags_are_set_and_removed_only_of_the_keys_of_the_list() {
    let mut body = world().launch_body(&unique("lab"));
    body["instance_type"] = json!("c5.large");
    let url = format!("/regions/{REGION}/instances");
    let launched = lab().await.request("POST", &url, Some(body)).await;
    assert_ok(&launched, 201);
    let id = launched.json["instance_id"].as_str().unwrap();
    let url = format!("{url}/{id}/tags");
    let patch = async |tags| lab().await.request("PATCH", &url, Some(json!({"tags": tags}))).await;
    let before = world().tags(id).await;
    let refused = patch(json!({"cml:site": "a", "Trusted": "yes"})).await;
    assert_refused(&refused, &["tags.Trusted"]);
    assert_eq!(world().tags(id).await, before);
    assert_ok(&patch(json!({"cml:site": "a", "Name": "new"})).await, 200);
    let delete = async |query: &str| lab().await.request("DELETE", &format!("{url}?{query}"), None).await;
    assert_refused(&delete("key=cml:site&key=Trusted").await, &["key[1]"]);
    assert_refused(&delete("key=Trusted").await, &["key"]);
    assert_eq!(world().tags(id).await["cml:site"], "a");
    assert_ok(&delete("key=cml:site").await, 200);
    assert!(world().tags(id).await.get("cml:site").is_none());
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
    assert_nested_has_every_type("AuditStack", "iam/audit.yaml").await;
    let trail = world().aws("cloudtrail get-trail-status --name", &["cml-lab-us-east-1-audit"]).await;
    assert_eq!(trail["IsLogging"], true, "{trail}");
    let many = world().aws("cloudwatch describe-alarms --alarm-name-prefix", &["cml-lab-many-"]).await;
    assert_eq!(many["MetricAlarms"].as_array().unwrap().len(), 4, "{many}");
    let filters = async |group| {
        let found = world().aws("logs describe-metric-filters --log-group-name", &[group]).await;
        found["metricFilters"].as_array().unwrap().len()
    };
    assert_eq!(filters("/aws/cloudtrail/cml-lab").await, 4);
    assert_eq!(filters("/aws/apigateway/cml-lab/v1").await, 1);
}

#[tokio::test]
async fn the_monitoring_is_deployed_with_its_dashboard_alarms_and_queries() {
    lab().await;
    assert_nested_has_every_type("MonitoringStack", "monitoring.yaml").await;
    let alarms = world().aws("cloudwatch describe-alarms --alarm-name-prefix", &["cml-lab-"]).await;
    let alarms = alarms["MetricAlarms"].as_array().unwrap();
    // Those of both nested stacks.
    assert_eq!(alarms.len(), 13 + 5, "{alarms:?}");
    let actions: BTreeSet<String> = alarms.iter().map(|alarm| alarm["AlarmActions"].to_string()).collect();
    assert!(actions.len() == 1 && actions.iter().all(|topic| topic.contains(":cml-lab-AlarmTopic-")), "{actions:?}");
    let dashboard = world().aws("cloudwatch get-dashboard --dashboard-name", &["cml-lab-us-east-1"]).await;
    let body: Value = serde_json::from_str(dashboard["DashboardBody"].as_str().unwrap()).unwrap();
    assert_eq!(body["widgets"].as_array().unwrap().len(), 15, "{body}");
    let health = world().aws("lambda get-function-configuration --function-name", &["cml-lab-health"]).await;
    assert_eq!(health["Environment"]["Variables"]["CML_METRICS_NAMESPACE"], "CML/cml-lab", "{health}");
    assert_eq!(health["TracingConfig"]["Mode"], "Active", "{health}");
}

#[tokio::test]
async fn a_second_stack_leaves_the_logging_role_of_the_first() {
    lab().await;
    // Not what is set: the smoke runs set their own meanwhile.
    let sets = async |stack| resources_of(stack).await.iter().any(|(kind, _)| kind == "AWS::ApiGateway::Account");
    assert!(sets(STACK_NAME).await && !sets(LAB).await);
}

/// The nested stack has a resource of every type of its template.
async fn assert_nested_has_every_type(logical_id: &str, template: &str) {
    let query = format!("StackResources[?LogicalResourceId=='{logical_id}'].PhysicalResourceId | [0]");
    let nested =
        world().aws("cloudformation describe-stack-resources", &["--stack-name", LAB, "--query", &query]).await;
    let made = resources_of(nested.as_str().unwrap()).await;
    let text = std::fs::read_to_string(tests::stack::repository().join(template)).unwrap();
    let in_template: BTreeSet<&str> = text.lines().filter_map(|line| line.strip_prefix("    Type: ")).collect();
    assert!(!in_template.is_empty(), "{template}");
    for kind in in_template {
        assert!(made.iter().any(|(made, _)| made == kind), "{kind} in {made:?}");
    }
}
