//! Each file of `events/` is handed to its binary by cargo-lambda, as a developer hands it over.

use serde_json::{Value, json};
use shared::model::sweep::SEEN_KEY;
use shared::ops::{OPERATIONS, SCHEDULED};
use tests::stack::repository;
use tests::stub::action;

use crate::functions::Functions;

#[tokio::test]
async fn each_event_file_is_answered_by_its_binary() {
    let names: Vec<_> = OPERATIONS.iter().chain(&SCHEDULED).map(|operation| operation.name).collect();
    let functions = Functions::start(&names).await;
    let event = |name: &str| repository().join(format!("events/{name}.json"));
    // moto's seed makes the first demo worker's id the same in every run, and the events name it.
    let details = std::fs::read_to_string(event("get-instance-details")).unwrap();
    assert!(details.contains(&functions.aws.workers.demo[0]), "the first worker is {}", functions.aws.workers.demo[0]);
    // Reads first, then what changes the demo worker, and its termination last.
    let mut operations = OPERATIONS;
    operations.sort_by_key(|operation| (operation.method() != "GET", operation.name == "terminate-instance"));
    for operation in operations {
        let answer = functions.invoke(operation.name, &event(operation.name)).await;
        let expected = if operation.name == "create-instance" { 201 } else { 200 };
        assert_eq!(answer["statusCode"], expected, "{}: {answer}", operation.name);
        let body: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
        assert!(body.is_object(), "{}: {answer}", operation.name);
    }
    // The sweep answers nobody with a response of HTTP: its report is what it answers.
    let swept = functions.invoke("sweep-workers", &event("sweep-workers")).await;
    let region = &swept["regions"][0];
    assert_eq!((&region["region"], &region["failures"]), (&json!("us-east-1"), &json!([])), "{swept}");
    assert!(region["workers"].as_u64().unwrap() > 0, "{swept}");
    let remembered = functions.ec2_stub.requests_matching(action("CreateTags"));
    assert!(remembered.iter().any(|request| request.param("Tag.1.Key") == Some(SEEN_KEY)), "{remembered:?}");
    // Only a scheduled check, which no caller reads, is in the log although all went well.
    let log = || functions.program("health").output() + &functions.program("health").log();
    assert!(!log().contains("answered"), "{}", log());
    let scheduled = functions.invoke("health", &event("health-schedule")).await;
    assert_eq!(scheduled["status"], "ok", "{scheduled}");
    assert_eq!(log().matches("scheduled, answered").count(), 1, "{}", log());
    functions.aws.stop().unwrap();
}
