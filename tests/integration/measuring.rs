//! `get-instance-resources-utilization`.

use std::time::{Duration, SystemTime};

use aws_sdk_cloudwatch::types::{Dimension, MetricDatum, StandardUnit};
use serde_json::json;
use tests::client::Answer;

use crate::world::{assert_ok, assert_refused, world};

async fn utilization(id: &str, query: &str) -> Answer {
    world().call("GET", id, &format!("/utilization{query}")).await
}

async fn put(id: &str, namespace: &str, metric: &str, value: f64) {
    let datum = MetricDatum::builder()
        .metric_name(metric)
        .dimensions(Dimension::builder().name("InstanceId").value(id).build())
        .timestamp((SystemTime::now() - Duration::from_secs(60)).into())
        .unit(StandardUnit::Percent)
        .value(value)
        .build();
    world().cloudwatch().put_metric_data().namespace(namespace).metric_data(datum).send().await.unwrap();
}

#[tokio::test]
async fn published_metrics_are_measured() {
    let id = world().launch().await;
    put(&id, "AWS/EC2", "CPUUtilization", 12.5).await;
    put(&id, "CWAgent", "mem_used_percent", 0.0).await;
    let answer = utilization(&id, "?window=10m").await;
    assert_ok(&answer, 200);
    let (cpu, memory) = (&answer.json["cpu"], &answer.json["memory"]);
    assert_eq!(
        (&cpu["available"], &cpu["average"], &cpu["maximum"], &cpu["latest"]),
        (&json!(true), &json!(12.5), &json!(12.5), &json!(12.5))
    );
    assert_eq!((&memory["available"], &memory["latest"], &memory["reason"]), (&json!(true), &json!(0.0), &json!(null)));
    assert_eq!((&answer.json["window"], &cpu["datapoints"]), (&json!("10m"), &json!(1)));
    assert_eq!(answer.json["period_seconds"], 300);
}

#[tokio::test]
async fn no_data_is_said_and_is_no_zero() {
    let id = world().launch().await;
    let answer = utilization(&id, "").await;
    assert_ok(&answer, 200);
    assert_eq!(answer.json["window"], "5m");
    for metric in ["cpu", "memory"] {
        let metric = &answer.json[metric];
        assert_eq!(
            (&metric["available"], &metric["average"], &metric["datapoints"]),
            (&json!(false), &json!(null), &json!(0))
        );
        assert!(metric["reason"].as_str().is_some_and(|reason| reason.contains("no data points")));
    }
}

#[tokio::test]
async fn another_window_is_refused() {
    let id = world().launch().await;
    assert_refused(&utilization(&id, "?window=2h").await, &["window"]);
    assert_refused(&utilization(&id, "?window=5m&window=1m").await, &["window"]);
}
