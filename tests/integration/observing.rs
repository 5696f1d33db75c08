//! What the functions' logs say: a line for each mutation, and the metrics.

use std::collections::BTreeSet;
use std::fs;

use serde_json::{Value, json};
use shared::config::CML_METRICS_NAMESPACE;
use shared::ops::{OPERATIONS, SCHEDULED};
use tests::stack::{self, REGION, repository};
use tests::stub::{Recorded, Reply, Times, action};

use crate::functions::{Functions, ROOT};

const NAMESPACE: &str = "CML/observed";

/// The signer of the requests in `events/`.
const CALLER: &str = "arn:aws:sts::123456789012:assumed-role/cml-cloud-manager/cml-cloud-manager";

/// Another region, which AWS enables in every account.
const OTHER: &str = "eu-north-1";

/// Functions that write metrics, and their log as JSON, as the template has it.
async fn functions(names: &[&'static str]) -> Functions {
    let mut functions = Functions::start(&[]).await;
    let environment = [
        &ROOT[..],
        &[
            (CML_METRICS_NAMESPACE, NAMESPACE),
            ("AWS_LAMBDA_LOG_FORMAT", "JSON"),
            ("CML_ALLOWED_REGIONS", "us-east-1"),
            ("CML_ON_IDLE", "report"),
            ("CML_ON_ORPHAN", "report"),
        ],
    ]
    .concat();
    for name in names {
        functions.add(name, name, &environment).await;
    }
    functions
}

/// The lines of a function's log, each a JSON object.
fn log(functions: &Functions, name: &str) -> Vec<Value> {
    let program = functions.program(name);
    let text = program.output();
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{name} wrote {line}"))).collect()
}

/// The fields of the lines about mutations.
fn audit(functions: &Functions, name: &str) -> Vec<Value> {
    let lines = log(functions, name).into_iter().map(|line| line["fields"].clone());
    lines.filter(|fields| fields["audit"] == true).collect()
}

/// Checks that an object is one of the embedded metric format, and gives the metrics in it: name, unit, names of dimensions.
fn metrics(line: &Value) -> Vec<(String, String, String)> {
    assert!(line["_aws"]["Timestamp"].as_u64().is_some_and(|at| at > 1_700_000_000_000), "{line}");
    let mut metrics = Vec::new();
    for directive in line["_aws"]["CloudWatchMetrics"].as_array().unwrap() {
        assert_eq!(directive["Namespace"], NAMESPACE, "{line}");
        for set in directive["Dimensions"].as_array().unwrap() {
            let names: Vec<&str> = set.as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
            for name in &names {
                // A dimension without a value, or with an empty one, makes CloudWatch drop the metric.
                assert!(line[name].as_str().is_some_and(|value| !value.is_empty()), "{name} in {line}");
            }
            for metric in directive["Metrics"].as_array().unwrap() {
                let name = metric["Name"].as_str().unwrap();
                assert!(!line[name].is_null(), "{name} has no value in {line}");
                let set = if names.is_empty() { "-".to_owned() } else { names.join(",") };
                metrics.push((name.to_owned(), metric["Unit"].as_str().unwrap().to_owned(), set));
            }
        }
    }
    metrics
}

/// The metrics of the functions in the table that templates and documentation are checked by.
fn table() -> BTreeSet<(String, String, String)> {
    let text = fs::read_to_string(repository().join("tests/template/metrics.tsv")).unwrap();
    let rows = text.lines().map(|line| line.split('\t').collect::<Vec<_>>());
    let own = rows.filter(|row| row.first() == Some(&"CML"));
    own.map(|row| (row[1].to_owned(), row[2].to_owned(), row[3].to_owned())).collect()
}

#[tokio::test]
async fn the_functions_write_just_the_metrics_of_the_table() {
    let names: Vec<_> = OPERATIONS.iter().chain(&SCHEDULED).map(|operation| operation.name).collect();
    let functions = functions(&names).await;
    let event = |name: &str| repository().join(format!("events/{name}.json"));
    let mut operations = OPERATIONS;
    operations.sort_by_key(|operation| (operation.method() != "GET", operation.name == "terminate-instance"));
    for operation in operations {
        functions.invoke(operation.name, &event(operation.name)).await;
    }
    // A wait, an error, a missing permission, and a sweep that lacks one.
    let waited = json!({"wait": ["stopped"]});
    functions.call("stop-instance", |event| event["multiValueQueryStringParameters"] = waited).await;
    let denied = || Reply::ec2_error(403, "UnauthorizedOperation", "You are not authorized to perform this operation.");
    let script = functions.ec2_stub.script(action("DescribeTags"), Times::Always, denied());
    assert_eq!(functions.call("get-instance-tags", |_| ()).await.0, 403);
    drop(script);
    let script = functions.ec2_stub.script(action("DescribeInstanceStatus"), Times::Always, denied());
    functions.invoke("sweep-workers", &event("sweep-workers")).await;
    drop(script);

    let mut written = BTreeSet::new();
    for name in &names {
        let lines = log(&functions, name);
        let lines: Vec<&Value> = lines.iter().filter(|line| line.get("_aws").is_some()).collect();
        assert!(!lines.is_empty(), "{name} wrote no metrics");
        written.extend(lines.into_iter().flat_map(metrics));
    }
    assert_eq!(written, table());
    functions.aws.stop().unwrap();
}

/// The value of a metric under these dimensions in the lines, if they have it once.
fn value(lines: &[Value], name: &str, dimensions: &[(&str, &str)]) -> Option<f64> {
    let is_under = |line: &&Value| {
        line.get(name).is_some()
            && dimensions.iter().all(|(dimension, value)| line[*dimension] == *value)
            && metrics(line).iter().any(|(metric, _, set)| {
                let names: Vec<&str> = dimensions.iter().map(|(dimension, _)| *dimension).collect();
                metric == name && *set == names.join(",")
            })
    };
    let found: Vec<&Value> = lines.iter().filter(|line| line.get("_aws").is_some()).filter(is_under).collect();
    assert!(found.len() < 2, "{found:?}");
    found.first().map(|line| line[name].as_f64().unwrap())
}

/// The lines that an invocation adds to a function's log.
async fn added(functions: &Functions, name: &str, event: &str) -> Vec<Value> {
    let before = log(functions, name).len();
    functions.invoke(name, &repository().join(format!("events/{event}.json"))).await;
    log(functions, name).split_off(before)
}

#[tokio::test]
async fn each_permission_that_is_missing_is_named_by_answer_log_and_metric() {
    let names = OPERATIONS.map(|operation| operation.name);
    let functions = functions(&names).await;
    let ec2 = stack::ec2(&functions.aws.ec2_endpoint());
    let mut cases = 0;
    for operation in OPERATIONS {
        if operation.name == "start-instance" {
            ec2.stop_instances().instance_ids(&functions.aws.workers.demo[0]).send().await.unwrap();
        }
        for permission in operation.actions {
            // Tags at launch are in the launch.
            if (operation.name, *permission) == ("create-instance", "ec2:CreateTags") {
                continue;
            }
            let (service, name) = permission.split_once(':').unwrap();
            let (stub, reply, code) = match service {
                "cloudwatch" => (
                    &functions.cloudwatch_stub,
                    Reply::cloudwatch_error as fn(u16, &str, &str) -> Reply,
                    "AccessDenied",
                ),
                _ => (&functions.ec2_stub, Reply::ec2_error as fn(u16, &str, &str) -> Reply, "UnauthorizedOperation"),
            };
            let script = stub.script(action(name), Times::Always, reply(403, code, "You are not authorized."));
            let before = log(&functions, operation.name).len();
            // With a key, a launch first looks for what the same request launched before.
            let answer = functions.respond(operation.name, |event| {
                event["multiValueHeaders"]["Idempotency-Key"] = json!([format!("without-{name}")]);
            });
            let (answer, lines) = (answer.await.to_string(), log(&functions, operation.name).split_off(before));
            let case = format!("{} without {permission}: {lines:?}", operation.name);
            assert!(script.hits() > 0, "{case}");
            drop(script);
            assert!(answer.contains(permission), "{case}: {answer}");
            let words = lines.iter().map(|line| line["fields"].to_string()).collect::<String>();
            assert!(words.contains(permission) && words.contains(code), "{case}");
            assert_eq!(value(&lines, "MissingPermissions", &[("Permission", permission)]), Some(1.0), "{case}");
            cases += 1;
        }
        if operation.name == "start-instance" {
            ec2.start_instances().instance_ids(&functions.aws.workers.demo[0]).send().await.unwrap();
        }
    }
    assert_eq!(cases, OPERATIONS.iter().map(|operation| operation.actions.len()).sum::<usize>() - 1);
    functions.aws.stop().unwrap();
}

#[tokio::test]
async fn a_scheduled_check_logs_the_specifications_lines_and_counts_what_fails() {
    let mut functions = Functions::start(&[]).await;
    let regions = format!("{REGION},{OTHER}");
    let environment = [
        &ROOT[..],
        &[
            (CML_METRICS_NAMESPACE, NAMESPACE),
            ("AWS_LAMBDA_LOG_FORMAT", "JSON"),
            ("CML_ALLOWED_REGIONS", regions.as_str()),
        ],
    ];
    functions.add("health", "health", &environment.concat()).await;
    let lines = added(&functions, "health", "health-schedule").await;
    for region in [REGION, OTHER] {
        assert!(says(&lines, "INFO", &format!("AWS EC2 connection successful in {region}")), "{lines:?}");
        assert!(says(&lines, "INFO", &format!("AWS CloudWatch connection successful in {region}")), "{lines:?}");
    }
    assert!(!says(&lines, "WARN", "AWS operations may fail at runtime"), "{lines:?}");
    assert!(says(&lines, "WARN", "Rotate access keys every 90 days"), "root's keys do not expire: {lines:?}");
    assert_eq!(failures(&lines), [0.0; 4]);
    let of_health = |lines: &[Value], name| value(lines, name, &[("Operation", "health")]);
    // Two regions, and EC2 and CloudWatch in each.
    assert_eq!((of_health(&lines, "AwsCalls"), of_health(&lines, "ColdStarts")), (Some(4.0), Some(1.0)), "{lines:?}");
    assert!(of_health(&lines, "Latency").is_some_and(|latency| latency > 0.0), "{lines:?}");

    // Wrong keys in EC2.
    let refused = Reply::ec2_error(401, "AuthFailure", "AWS was not able to validate the provided access credentials");
    let script = functions.ec2_stub.script(|_: &Recorded| true, Times::Always, refused);
    let lines = added(&functions, "health", "health-schedule").await;
    let line = "AWS EC2 health check failed: Error while verifying access to EC2: An error occurred (AuthFailure) in us-east-1";
    assert!(says(&lines, "WARN", line) && says(&lines, "WARN", "AWS operations may fail at runtime"), "{lines:?}");
    assert_eq!(failures(&lines), [1.0, 0.0, 1.0, 0.0]);
    assert_eq!(of_health(&lines, "ColdStarts"), Some(0.0), "the second invocation");
    // A caller gets the same in the answer; the warnings alone are logged once more.
    let lines = added(&functions, "health", "health").await;
    assert!(says(&lines, "WARN", line) && !says(&lines, "INFO", "connection successful"), "{lines:?}");
    drop(script);

    // A dead region.
    let there = |request: &Recorded| request.region.as_deref() == Some(OTHER);
    let dead = [&functions.ec2_stub, &functions.cloudwatch_stub]
        .map(|stub| stub.script(there, Times::Always, Reply::closed()));
    let lines = added(&functions, "health", "health-schedule").await;
    assert_eq!(failures(&lines), [0.0, 0.0, 1.0, 1.0]);
    for service in ["EC2", "CloudWatch"] {
        let line = format!(
            "AWS {service} health check failed: Error while verifying access to {service}: An error occurred in {OTHER}"
        );
        assert!(says(&lines, "WARN", &line), "{lines:?}");
    }
    drop(dead);
    functions.aws.stop().unwrap();
}

/// Whether a line of this level has these words.
fn says(lines: &[Value], level: &str, words: &str) -> bool {
    let mut lines = lines.iter().filter(|line| line["level"] == level);
    lines.any(|line| line["fields"]["message"].as_str().is_some_and(|message| message.contains(words)))
}

/// What was counted of the checks of EC2 and CloudWatch here, and of those in the other region.
fn failures(lines: &[Value]) -> [f64; 4] {
    [
        ("ec2:DescribeRegions", REGION),
        ("cloudwatch:GetMetricStatistics", REGION),
        ("ec2:DescribeRegions", OTHER),
        ("cloudwatch:GetMetricStatistics", OTHER),
    ]
    .map(|(check, region)| value(lines, "HealthCheckFailures", &[("Check", check), ("Region", region)]).unwrap())
}

#[tokio::test]
async fn a_deployment_without_monitoring_writes_no_metrics() {
    let mut functions = Functions::start(&[]).await;
    let environment = [&ROOT[..], &[("AWS_LAMBDA_LOG_FORMAT", "JSON")]].concat();
    functions.add("get-all-instances", "get-all-instances", &environment).await;
    assert_eq!(functions.call("get-all-instances", |_| ()).await.0, 200);
    assert!(!functions.program("get-all-instances").output().contains("_aws"));
    functions.aws.stop().unwrap();
}

#[tokio::test]
async fn each_mutation_has_one_line_that_says_who_did_what_to_which_worker() {
    let functions = functions(&["create-instance", "stop-instance", "update-instance-tags", "get-instance-tags"]).await;
    let demo = functions.aws.workers.demo[0].clone();
    let (status, launched) = functions
        .call("create-instance", |event| {
            event["multiValueHeaders"]["Idempotency-Key"] = json!(["observed"]);
            event["headers"]["Idempotency-Key"] = json!("observed");
        })
        .await;
    assert_eq!(status, 201, "{launched}");
    let lines = audit(&functions, "create-instance");
    assert_eq!(lines.len(), 1, "{lines:?}");
    let line = &lines[0];
    assert_eq!(line["instance_id"], launched["instance_id"], "{line}");
    assert_eq!(
        (&line["caller"], &line["idempotency_key"], &line["changed"]),
        (&json!(CALLER), &json!(true), &json!(true))
    );
    assert_eq!((&line["operation"], &line["region"]), (&json!("create-instance"), &json!("us-east-1")));

    // A dry run, the stop, the stop of a stopped one, and a refusal.
    let dry_run = |event: &mut Value| event["multiValueQueryStringParameters"] = json!({"dry_run": ["true"]});
    assert_eq!(functions.call("stop-instance", dry_run).await.0, 200);
    assert_eq!(functions.call("stop-instance", |_| ()).await.0, 200);
    assert_eq!(functions.call("stop-instance", |_| ()).await.0, 200);
    let script = functions.ec2_stub.script(
        action("DescribeInstances"),
        Times::Always,
        Reply::ec2_error(403, "UnauthorizedOperation", "You are not authorized to perform this operation."),
    );
    assert_eq!(functions.call("stop-instance", |_| ()).await.0, 403);
    drop(script);
    let seen: Vec<_> = audit(&functions, "stop-instance")
        .iter()
        .map(|line| {
            assert_eq!((&line["instance_id"], &line["caller"]), (&json!(demo), &json!(CALLER)), "{line}");
            assert!(line["request_id"].as_str().is_some_and(|id| !id.is_empty()), "{line}");
            let text = |name: &str| line[name].as_str().unwrap_or("-").to_owned();
            let flag = |name: &str| line[name].as_bool();
            (flag("dry_run"), text("outcome"), flag("changed"), text("code"), text("missing_permission"))
        })
        .collect();
    let row = |dry_run, outcome: &str, changed, code: &str, permission: &str| {
        (Some(dry_run), outcome.to_owned(), Some(changed), code.to_owned(), permission.to_owned())
    };
    assert_eq!(
        seen,
        [
            row(true, "done", false, "-", "-"),
            row(false, "done", true, "-", "-"),
            row(false, "done", false, "-", "-"),
            row(false, "failed", false, "missing_permission", "ec2:DescribeInstances"),
        ]
    );
    // The line of the stop alone has AWS's id of it.
    let stop = &audit(&functions, "stop-instance")[1];
    assert!(stop["aws_request_id"].as_str().is_some_and(|id| !id.is_empty()), "{stop}");

    assert_fields_of_query(
        &audit(&functions, "create-instance").into_iter().chain(audit(&functions, "stop-instance")).collect::<Vec<_>>(),
    );

    let tags = |event: &mut Value| event["body"] = json!({"tags": {"Lab": "s3cret-value"}}).to_string().into();
    assert_eq!(functions.call("update-instance-tags", tags).await.0, 200);
    assert_eq!(audit(&functions, "update-instance-tags")[0]["changed"], true);
    assert_eq!(functions.call("get-instance-tags", |_| ()).await.0, 200);
    assert_eq!(audit(&functions, "get-instance-tags"), Vec::<Value>::new(), "a read changes nothing");
    for name in ["create-instance", "update-instance-tags"] {
        let log = functions.program(name).output() + &functions.program(name).log();
        assert!(!log.contains("s3cret-value") && !log.contains("user_data"), "{name}: {log}");
    }
    functions.aws.stop().unwrap();
}

/// Each field that the saved query about an instance reads is one that lines have.
fn assert_fields_of_query(lines: &[Value]) {
    let template = fs::read_to_string(repository().join("monitoring.yaml")).unwrap();
    let query = template.split("WhoChangedAnInstance:").nth(1).unwrap().split("ErrorsByCode:").next().unwrap();
    let named: BTreeSet<&str> = query
        .split("fields.")
        .skip(1)
        .map(|text| text.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap())
        .collect();
    let written: BTreeSet<&str> = lines
        .iter()
        .flat_map(|line| line.as_object().unwrap().keys())
        .map(String::as_str)
        .chain(["trace_id"])
        .collect();
    assert!(named.is_subset(&written), "{:?} are in no line", named.difference(&written));
    assert!(named.len() > 8, "{named:?}");
}
