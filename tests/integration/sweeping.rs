//! The sweep's binary, as Lambda starts it, against a local AWS: what it does to real instances, and what it tells.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use aws_sdk_ec2::primitives::{DateTime, DateTimeFormat};
use serde_json::{Value, json};
use tests::stack::REGION;
use tests::stub::{Recorded, Reply, Script, Times, action};

use crate::functions::{Functions, ROOT};

/// A time so many minutes ago, as EC2 and the tags write it.
fn ago(minutes: u64) -> String {
    let time = DateTime::from(SystemTime::now() - Duration::from_secs(minutes * 60));
    DateTime::from_secs(time.secs()).fmt(DateTimeFormat::DateTime).unwrap()
}

/// The functions of a local AWS with two demo workers, and the sweep with these variables.
async fn sweeper(variables: &[(&str, &str)]) -> Functions {
    let mut functions = Functions::start(&[]).await;
    let endpoint = functions.aws.endpoint();
    let environment = [&ROOT[..], &[("AWS_ENDPOINT_URL_EVENTBRIDGE", endpoint.as_str())], variables].concat();
    functions.add("sweep-workers", "sweep-workers", &environment).await;
    functions
}

async fn sweep(functions: &Functions) -> Value {
    functions.respond("sweep-workers", |_| ()).await
}

/// An instance's tags in EC2, and its state.
async fn in_ec2(functions: &Functions, id: &str) -> (BTreeMap<String, String>, String) {
    let ec2 = tests::stack::clients::ec2(&functions.aws.ec2_endpoint());
    let answer = ec2.describe_instances().instance_ids(id).send().await.unwrap();
    let instance = answer.reservations()[0].instances()[0].clone();
    let tags = instance.tags().iter().map(|tag| (tag.key().unwrap().to_owned(), tag.value().unwrap().to_owned()));
    (tags.collect(), instance.state().unwrap().name().unwrap().to_string())
}

/// From here on EC2 shows one worker alone, started two hours ago, with these tags.
fn show(functions: &Functions, id: &str, tags: &[(&str, &str)]) -> Script {
    let tags: String =
        tags.iter().map(|(key, value)| format!("<item><key>{key}</key><value>{value}</value></item>")).collect();
    let document = format!(
        r#"<DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><reservationSet><item><instancesSet><item>
<instanceId>{id}</instanceId><instanceState><name>running</name></instanceState><launchTime>{}</launchTime>
<tagSet><item><key>ManagedBy</key><value>cml-cloud-manager</value></item>{tags}</tagSet>
</item></instancesSet></item></reservationSet></DescribeInstancesResponse>"#,
        ago(120)
    );
    let reply = Reply::raw(200, &[("content-type", "text/xml;charset=UTF-8")], document);
    functions.ec2_stub.script(action("DescribeInstances"), Times::Always, reply)
}

#[tokio::test]
async fn without_a_rule_a_sweep_only_remembers_what_it_saw() {
    let functions = sweeper(&[("AWS_LAMBDA_LOG_FORMAT", "JSON")]).await;
    let report = sweep(&functions).await;
    let region = &report["regions"][0];
    assert_eq!((&region["region"], &region["workers"], &region["acted"]), (&json!(REGION), &json!(2), &json!(0)));
    assert_eq!(region["failures"], json!([]), "{report}");
    for id in &functions.aws.workers.demo {
        let (tags, state) = in_ec2(&functions, id).await;
        assert_eq!((tags.get("cml:seen").map(String::as_str), state.as_str()), (Some("- ok"), "running"));
        assert!(!tags.contains_key("cml:mark"));
    }
    // The line of each worker in the log is what other rules are tried on.
    let program = functions.program("sweep-workers");
    let (lines, unreadable) = tests::replay::lines(&(program.output() + &program.log()));
    assert_eq!(unreadable, 0);
    let logged: BTreeSet<&str> = lines.iter().map(|line| line.facts.instance_id.as_str()).collect();
    assert_eq!(logged, functions.aws.workers.demo.iter().map(String::as_str).collect(), "{}", program.log());
    assert_eq!(
        (program.output() + &program.log()).matches("cml-cloud-manager").count(),
        0,
        "no tag but the sweep's own"
    );
    functions.aws.stop().unwrap();
}

#[tokio::test]
async fn an_orphan_is_marked_and_then_terminated_and_no_other_instance() {
    let functions = sweeper(&[("CML_ON_ORPHAN", "terminate"), ("AWS_LAMBDA_LOG_FORMAT", "JSON")]).await;
    let (orphan, other) = (functions.aws.workers.demo[0].clone(), functions.aws.workers.demo[1].clone());
    let shown = show(&functions, &orphan, &[("cml:seen", "- ok")]);
    let report = sweep(&functions).await;
    assert_eq!(report["regions"][0]["verdicts"], json!({"mark": 1}), "{report}");
    let (tags, state) = in_ec2(&functions, &orphan).await;
    assert!(tags["cml:mark"].starts_with("terminate orphan 20"), "{tags:?}");
    assert_eq!(state, "running");
    drop(shown);
    let shown =
        show(&functions, &orphan, &[("cml:seen", "- ok"), ("cml:mark", &format!("terminate orphan {}", ago(5)))]);
    let report = sweep(&functions).await;
    assert_eq!(
        (&report["regions"][0]["acted"], &report["regions"][0]["failures"]),
        (&json!(1), &json!([])),
        "{report}"
    );
    drop(shown);
    let (tags, state) = in_ec2(&functions, &orphan).await;
    assert_eq!((state.as_str(), tags["cml:acted"].starts_with("terminate orphan 20")), ("terminated", true));
    let (tags, state) = in_ec2(&functions, &other).await;
    assert_eq!((state.as_str(), tags.contains_key("cml:mark")), ("running", false));
    // The saved query about an instance finds it, as it finds what callers did.
    let log = functions.program("sweep-workers").output();
    let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let audit: Vec<Value> = lines.filter(|line| line["fields"]["audit"] == true).collect();
    assert_eq!(audit.len(), 1, "{log}");
    let fields = &audit[0]["fields"];
    assert_eq!(
        (&fields["instance_id"], &fields["changed"], &fields["dry_run"]),
        (&json!(orphan), &json!(true), &json!(false))
    );
    assert_eq!((&fields["caller"], &fields["operation"]), (&json!("sweep-workers"), &json!("sweep-workers")));
    assert!(fields["message"].as_str().unwrap().contains("no heartbeat came"), "{fields}");
    assert!(fields["aws_request_id"].as_str().is_some_and(|id| !id.is_empty()), "{fields}");
    assert!(audit[0]["span"]["requestId"].is_string(), "{}", audit[0]);
    functions.aws.stop().unwrap();
}

#[tokio::test]
async fn a_change_in_another_region_is_published_and_told_once() {
    let functions = sweeper(&[("CML_ALLOWED_REGIONS", "us-east-1,us-west-2")]).await;
    let ec2 = tests::stack::clients::ec2_in("us-west-2", &functions.aws.ec2_endpoint());
    let tag = |key: &str, value: &str| aws_sdk_ec2::types::Tag::builder().key(key).value(value).build();
    let tags = aws_sdk_ec2::types::TagSpecification::builder()
        .resource_type(aws_sdk_ec2::types::ResourceType::Instance)
        .tags(tag("ManagedBy", "cml-cloud-manager"))
        .build();
    let images = ec2.describe_images().send().await.unwrap();
    let image = images.images()[0].image_id().unwrap();
    let launch = ec2.run_instances().image_id(image).min_count(1).max_count(1).tag_specifications(tags);
    launch.send().await.unwrap();
    let of_west = |report: &Value| {
        let regions = report["regions"].as_array().unwrap();
        regions.iter().find(|region| region["region"] == "us-west-2").unwrap().clone()
    };
    let first = of_west(&sweep(&functions).await);
    assert_eq!(
        (&first["workers"], &first["events"], &first["failures"]),
        (&json!(1), &json!(1), &json!([])),
        "{first}"
    );
    let second = of_west(&sweep(&functions).await);
    assert_eq!((&second["events"], &second["failures"]), (&json!(0), &json!([])), "{second}");
    functions.aws.stop().unwrap();
}

#[tokio::test]
async fn a_dead_region_costs_only_itself_and_none_at_all_fails_the_invocation() {
    let functions = sweeper(&[("CML_ALLOWED_REGIONS", "us-east-1,eu-north-1")]).await;
    let dead =
        |request: &Recorded| request.action == "DescribeInstances" && request.region.as_deref() == Some("eu-north-1");
    let denied = || Reply::ec2_error(403, "UnauthorizedOperation", "You are not authorized to perform this operation.");
    let script = functions.ec2_stub.script(dead, Times::Always, denied());
    let report = sweep(&functions).await;
    let [north, east] = [0, 1].map(|index| report["regions"][index].clone());
    let (north, east) = if north["region"] == "eu-north-1" { (north, east) } else { (east, north) };
    assert_eq!(north["failures"][0]["missing_permission"], "ec2:DescribeInstances", "{report}");
    assert_eq!((&east["workers"], &east["failures"]), (&json!(2), &json!([])), "{report}");
    drop(script);
    let _script = functions.ec2_stub.script(action("DescribeInstances"), Times::Always, denied());
    let failed = functions.fail("sweep-workers").await;
    assert!(failed.contains("ec2:DescribeInstances") || failed.contains("not authorized"), "{failed}");
    functions.aws.stop().unwrap();
}
