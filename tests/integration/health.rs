//! `GET /health` and the scheduled check, with AWS failing in one service, in one region, or altogether.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tests::stack::{LocalAws, Options, REGION, repository};
use tests::stub::{REQUEST_ID, Recorded, Reply, Script, Times};

use crate::functions::{Functions, ROOT};

const EC2: &str = "ec2:DescribeRegions";
const CLOUDWATCH: &str = "cloudwatch:GetMetricStatistics";

/// Another region, which AWS enables in every account.
const OTHER: &str = "eu-north-1";

/// A health check of two regions.
async fn health_of_two_regions() -> Functions {
    let mut functions = Functions::start(&[]).await;
    let regions = format!("{REGION},{OTHER}");
    functions.add("health", "health", &[ROOT.as_slice(), &[("CML_ALLOWED_REGIONS", &regions)]].concat()).await;
    functions
}

/// The status and the document that a caller gets.
async fn called(functions: &Functions, name: &str) -> (Value, Value) {
    let answer = functions.invoke(name, &repository().join("events/health.json")).await;
    (answer["statusCode"].clone(), serde_json::from_str(answer["body"].as_str().unwrap()).unwrap())
}

/// The document that a run of the schedule gives.
async fn scheduled(functions: &Functions) -> Value {
    functions.invoke("health", &repository().join("events/health-schedule.json")).await
}

/// The checks that failed, as (action, region) with AWS's code.
fn failed(health: &Value) -> BTreeMap<(String, String), Value> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let failed = health["checks"].as_array().unwrap().iter().filter(|check| check["ok"] == false);
    failed.map(|check| ((text(&check["name"]), text(&check["region"])), check["aws_code"].clone())).collect()
}

fn key(action: &str, region: &str) -> (String, String) {
    (action.to_owned(), region.to_owned())
}

fn refuse_ec2(functions: &Functions, status: u16, code: &str) -> Script {
    let reply = Reply::ec2_error(status, code, "AWS's words.");
    functions.ec2_stub.script(|_: &Recorded| true, Times::Always, reply)
}

fn refuse_cloudwatch(functions: &Functions, status: u16, code: &str) -> Script {
    let reply = Reply::cloudwatch_error(status, code, "AWS's words.");
    functions.cloudwatch_stub.script(|_: &Recorded| true, Times::Always, reply)
}

#[tokio::test]
async fn each_check_names_its_refusal_and_only_both_together_fail_the_answer() {
    let functions = Functions::start(&["health"]).await;
    let (status, health) = called(&functions, "health").await;
    assert_eq!((status, &health["status"], failed(&health).len()), (json!(200), &json!("ok"), 0), "{health}");
    for (of_ec2, of_cloudwatch) in [
        ((403, "UnauthorizedOperation"), (403, "AccessDenied")),
        ((401, "AuthFailure"), (403, "InvalidClientTokenId")),
        ((403, "SignatureDoesNotMatch"), (403, "SignatureDoesNotMatch")),
    ] {
        let ec2 = refuse_ec2(&functions, of_ec2.0, of_ec2.1);
        let (status, health) = called(&functions, "health").await;
        assert_eq!((status, &health["status"]), (json!(200), &json!("degraded")), "{health}");
        assert_eq!(failed(&health), [(key(EC2, REGION), json!(of_ec2.1))].into(), "{health}");
        assert_eq!(health["checks"][0]["aws_request_id"], REQUEST_ID, "{health}");

        let cloudwatch = refuse_cloudwatch(&functions, of_cloudwatch.0, of_cloudwatch.1);
        let both =
            BTreeMap::from([(key(EC2, REGION), json!(of_ec2.1)), (key(CLOUDWATCH, REGION), json!(of_cloudwatch.1))]);
        let (status, health) = called(&functions, "health").await;
        assert_eq!((status, &health["status"], &failed(&health)), (json!(503), &json!("failed"), &both), "{health}");
        let health = scheduled(&functions).await;
        assert_eq!((&health["status"], &failed(&health)), (&json!("failed"), &both), "{health}");

        drop(ec2);
        let health = scheduled(&functions).await;
        assert_eq!(health["status"], "degraded", "{health}");
        assert_eq!(failed(&health), [(key(CLOUDWATCH, REGION), json!(of_cloudwatch.1))].into(), "{health}");
        assert_eq!(health["checks"][1]["aws_request_id"], REQUEST_ID, "{health}");
        drop(cloudwatch);
    }
    functions.aws.stop().unwrap();
}

#[tokio::test]
async fn a_dead_region_fails_its_own_checks_and_a_silent_service_delays_no_other() {
    let functions = health_of_two_regions().await;
    let (_, health) = called(&functions, "health").await;
    assert_eq!((&health["status"], health["checks"].as_array().unwrap().len()), (&json!("ok"), 4), "{health}");

    let there = |request: &Recorded| request.region.as_deref() == Some(OTHER);
    let dead = [&functions.ec2_stub, &functions.cloudwatch_stub]
        .map(|stub| stub.script(there, Times::Always, Reply::closed()));
    let (status, health) = called(&functions, "health").await;
    assert_eq!((status, &health["status"]), (json!(200), &json!("degraded")), "{health}");
    let of_region = BTreeMap::from([(key(EC2, OTHER), json!(null)), (key(CLOUDWATCH, OTHER), json!(null))]);
    assert_eq!(failed(&health), of_region, "{health}");
    drop(dead);

    let silent = functions.cloudwatch_stub.script(there, Times::Always, Reply::silence());
    let began = Instant::now();
    let health = scheduled(&functions).await;
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    assert_eq!((&health["status"], silent.hits() > 0), (&json!("degraded"), true), "{health}");
    assert_eq!(failed(&health), [(key(CLOUDWATCH, OTHER), json!(null))].into(), "{health}");
    for check in health["checks"].as_array().unwrap().iter().filter(|check| check["ok"] == true) {
        assert!(check["latency_ms"].as_u64().unwrap() < 5_000, "{health}");
    }
    functions.aws.stop().unwrap();
}

#[tokio::test]
async fn without_credentials_every_check_fails_and_says_so() {
    let local = LocalAws::start(&Options::default()).await.unwrap();
    let mut functions = Functions::on(local).await;
    functions.add("health", "health", &[("AWS_EC2_METADATA_DISABLED", "true")]).await;
    let (status, health) = called(&functions, "health").await;
    assert_eq!((status, &health["status"]), (json!(503), &json!("failed")), "{health}");
    let credentials = json!({"kind": "none", "expires_at": null, "error": "no source has credentials"});
    assert_eq!(health["credentials"], credentials, "{health}");
    let reason = "The function has no usable AWS credentials";
    assert!(health["checks"].as_array().unwrap().iter().all(|check| check["error"] == reason), "{health}");
    functions.aws.stop().unwrap();
}
