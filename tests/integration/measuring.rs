//! `get-instance-resources-utilization`.

use std::time::{Duration, SystemTime};

use aws_sdk_cloudwatch::types::{Dimension, MetricDatum, StandardUnit};
use serde_json::{Value, json};
use tests::client::Answer;
use tests::stack::repository;

use crate::world::{assert_ok, assert_refused, world};

async fn utilization(id: &str, query: &str) -> Answer {
    world().call("GET", id, &format!("/utilization{query}")).await
}

/// Publishes one sample, as EC2 and the agent do: this long ago, with these dimensions.
async fn put(dimensions: &[(&str, &str)], namespace: &str, metric: &str, seconds_ago: u64, value: f64) {
    let dimension = |(name, value): &(&str, &str)| Dimension::builder().name(*name).value(*value).build();
    let datum = MetricDatum::builder()
        .metric_name(metric)
        .set_dimensions(Some(dimensions.iter().map(dimension).collect()))
        .timestamp((SystemTime::now() - Duration::from_secs(seconds_ago)).into())
        .unit(StandardUnit::Percent)
        .value(value)
        .build();
    world().cloudwatch().put_metric_data().namespace(namespace).metric_data(datum).send().await.unwrap();
}

async fn put_cpu(id: &str, seconds_ago: u64, value: f64) {
    put(&[("InstanceId", id)], "AWS/EC2", "CPUUtilization", seconds_ago, value).await;
}

async fn put_memory(dimensions: &[(&str, &str)], value: f64) {
    put(dimensions, "CWAgent", "mem_used_percent", 60, value).await;
}

#[tokio::test]
async fn published_metrics_are_measured() {
    let id = world().launch().await;
    put_cpu(&id, 60, 12.5).await;
    put_memory(&[("InstanceId", &id)], 0.0).await;
    let answer = utilization(&id, "?window=10m").await;
    assert_ok(&answer, 200);
    let (cpu, memory) = (&answer.json["cpu"], &answer.json["memory"]);
    assert_eq!(
        (&cpu["available"], &cpu["average"], &cpu["maximum"], &cpu["latest"]),
        (&json!(true), &json!(12.5), &json!(12.5), &json!(12.5))
    );
    assert_eq!((&memory["available"], &memory["latest"], &memory["reason"]), (&json!(true), &json!(0.0), &json!(null)));
    assert_eq!((&answer.json["window"], &cpu["datapoints"], &cpu["points"]), (&json!("10m"), &json!(1), &json!(null)));
    assert_eq!((&cpu["period_seconds"], &memory["period_seconds"]), (&json!(300), &json!(60)));
}

#[tokio::test]
async fn samples_weigh_alike_and_the_series_has_the_points() {
    let id = world().launch().await;
    // Five minutes apart at least: two points of basic monitoring, one of them older than the window.
    for (seconds_ago, value) in [(1500, 90.0), (1501, 90.0), (200, 10.0), (201, 10.0), (202, 40.0)] {
        put_cpu(&id, seconds_ago, value).await;
    }
    let cpu = &utilization(&id, "?window=10m&series=true").await.json["cpu"];
    assert_eq!((&cpu["average"], &cpu["maximum"]), (&json!(20.0), &json!(40.0)), "{cpu}");
    let points: Vec<_> = cpu["points"].as_array().unwrap().iter().map(|point| &point["in_window"]).collect();
    assert_eq!((points[0], points.last().unwrap()), (&json!(false), &&json!(true)), "{cpu}");
    let hour = &utilization(&id, "?window=1h").await.json["cpu"];
    assert_eq!((&hour["average"], &hour["maximum"]), (&json!(48.0), &json!(90.0)), "{hour}");
}

#[tokio::test]
async fn a_point_before_the_window_is_the_latest_value_and_no_average() {
    let id = world().launch().await;
    put_cpu(&id, 900, 33.0).await;
    let cpu = &utilization(&id, "?window=1m").await.json["cpu"];
    assert_eq!(
        (&cpu["available"], &cpu["latest"], &cpu["average"]),
        (&json!(true), &json!(33.0), &json!(null)),
        "{cpu}"
    );
    assert!(cpu["age_seconds"].as_u64().is_some_and(|age| (900..1260).contains(&age)), "{cpu}");
    // The worker was launched seconds ago: the point must be of an earlier run.
    assert_eq!((&cpu["datapoints"], &cpu["cause"]), (&json!(0), &json!("not_running_long_enough")), "{cpu}");
}

#[tokio::test]
async fn memory_is_found_with_whatever_the_agent_appends() {
    let [id, partly, other] = [world().launch().await, world().launch().await, world().launch().await];
    let image = world().stack.info.image_id.as_str();
    put_memory(&[("InstanceId", &id), ("ImageId", image), ("InstanceType", "c5.2xlarge")], 41.0).await;
    assert_eq!(utilization(&id, "?window=10m").await.json["memory"]["latest"], 41.0);
    put_memory(&[("InstanceId", &partly), ("InstanceType", "c5.2xlarge")], 42.0).await;
    assert_eq!(utilization(&partly, "?window=10m").await.json["memory"]["latest"], 42.0);
    // An agent's without append_dimensions: nobody else knows its host name.
    put_memory(&[("InstanceId", &other), ("host", "ip-10-0-0-4")], 43.0).await;
    assert_eq!(utilization(&other, "?window=10m").await.json["memory"]["available"], false);
}

#[tokio::test]
async fn memory_of_a_worker_in_a_group_is_found() {
    let tags = [("ManagedBy", "cml-cloud-manager"), ("aws:autoscaling:groupName", "workers")];
    let id = world().launch_tagged(1, &tags).await.remove(0);
    let image = world().stack.info.image_id.as_str();
    let appended = [
        ("InstanceId", id.as_str()),
        ("ImageId", image),
        ("InstanceType", "c5.2xlarge"),
        ("AutoScalingGroupName", "workers"),
    ];
    put_memory(&appended, 43.0).await;
    assert_eq!(utilization(&id, "?window=10m").await.json["memory"]["latest"], 43.0);
}

/// The configuration of the agent in `iam/README.md`: what its cloud-init writes to a file of JSON.
fn agent_configuration() -> Value {
    let readme = std::fs::read_to_string(repository().join("iam/README.md")).unwrap();
    let (_, script) = readme.split_once("#cloud-config\n").unwrap();
    let (_, content) = script.split_once(".json\n").unwrap();
    let (_, content) = content.split_once("content: |\n").unwrap();
    let json: Vec<&str> = content.lines().take_while(|line| line.starts_with("      ")).collect();
    serde_json::from_str(&json.join("\n")).unwrap()
}

#[tokio::test]
async fn memory_is_found_with_the_agent_configuration_of_the_readme() {
    let metrics = &agent_configuration()["metrics"];
    assert_eq!(metrics["namespace"], "CWAgent");
    assert_eq!(metrics["metrics_collected"]["mem"]["measurement"], json!(["mem_used_percent"]));
    let id = world().launch().await;
    let appended: Vec<(&str, &str)> = metrics["append_dimensions"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, value)| match value.as_str().unwrap() {
            "${aws:InstanceId}" => (name.as_str(), id.as_str()),
            "${aws:ImageId}" => (name.as_str(), world().stack.info.image_id.as_str()),
            "${aws:InstanceType}" => (name.as_str(), "c5.2xlarge"),
            other => panic!("{other}"),
        })
        .collect();
    put_memory(&appended, 44.0).await;
    assert_eq!(utilization(&id, "?window=10m").await.json["memory"]["latest"], 44.0);
}

#[tokio::test]
async fn missing_data_has_a_cause_and_is_not_zero() {
    let id = world().launch().await;
    let answer = utilization(&id, "").await;
    assert_ok(&answer, 200);
    assert_eq!(answer.json["window"], "5m");
    // Launched without an instance profile, seconds ago.
    for (metric, cause) in [("cpu", "not_running_long_enough"), ("memory", "no_permission")] {
        let metric = &answer.json[metric];
        assert_eq!(
            (&metric["available"], &metric["average"], &metric["datapoints"], &metric["cause"]),
            (&json!(false), &json!(null), &json!(0), &json!(cause))
        );
        assert!(metric["reason"].as_str().is_some_and(|reason| reason.contains("no point of")), "{metric}");
    }
    world().ec2().stop_instances().instance_ids(&id).send().await.unwrap();
    let stopped = utilization(&id, "").await;
    for metric in ["cpu", "memory"] {
        assert_eq!(stopped.json[metric]["cause"], "not_running", "{}", stopped.text);
    }
}

#[tokio::test]
async fn another_window_is_refused() {
    let id = world().launch().await;
    for bad in ["25h", "90s", "0m", "1.5h", "1441m", "5"] {
        assert_refused(&utilization(&id, &format!("?window={bad}")).await, &["window"]);
    }
    assert_refused(&utilization(&id, "?window=5m&window=1m").await, &["window"]);
    assert_refused(&utilization(&id, "?series=yes").await, &["series"]);
    for good in ["30s", "24h", "1440m"] {
        assert_ok(&utilization(&id, &format!("?window={good}")).await, 200);
    }
}
