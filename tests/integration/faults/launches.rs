//! Launches whose answer is lost, and launches that EC2 does not show yet.

use std::time::Duration;

use aws_sdk_ec2::types::Filter;
use serde_json::Value;
use tests::stack::ec2;
use tests::stub::{Recorded, Reply, Times, action};
use tokio::time::{sleep, timeout};

use crate::functions::{Functions, ROOT};

const CREATE: &str = "create-instance";
const NAME: &str = "a-worker-of-these-tests";
const BOUND: Duration = Duration::from_secs(60);

/// The ids of the workers that EC2 has under the event's name.
async fn launched(functions: &Functions) -> Vec<String> {
    let named = Filter::builder().name("tag:Name").values(NAME).build();
    let answer = ec2(&functions.aws.ec2_endpoint()).describe_instances().filters(named).send().await.unwrap();
    let instances = answer.reservations().iter().flat_map(|reservation| reservation.instances());
    instances.map(|instance| instance.instance_id().unwrap().to_owned()).collect()
}

async fn until_launched(functions: &Functions) {
    while launched(functions).await.is_empty() {
        sleep(Duration::from_millis(20)).await;
    }
}

fn with_key(key: &str) -> impl FnOnce(&mut Value) {
    move |event| {
        event["headers"]["Idempotency-Key"] = key.into();
        event["multiValueHeaders"]["Idempotency-Key"] = vec![key].into();
        let mut body: Value = serde_json::from_str(event["body"].as_str().unwrap()).unwrap();
        body["name"] = NAME.into();
        event["body"] = body.to_string().into();
    }
}

#[tokio::test]
async fn a_launch_whose_function_died_is_found_by_the_same_call() {
    let mut functions = Functions::start(&[CREATE]).await;
    let script = functions.ec2_stub.script(action("RunInstances"), Times::Exactly(1), Reply::silence().after_work());
    tokio::select! {
        answer = functions.call(CREATE, with_key("key-1")) => panic!("{answer:?}"),
        launched = timeout(BOUND, until_launched(&functions)) => launched.unwrap(),
    }
    functions.kill(CREATE).await;
    assert_eq!(script.hits(), 1);
    functions.add(CREATE, CREATE, &ROOT).await;

    let (status, again) = functions.call(CREATE, with_key("key-1")).await;

    let [first] = &launched(&functions).await[..] else { panic!("one worker") };
    assert_eq!((status, again["instance_id"].as_str(), again["created"].as_bool()), (200, Some(&**first), Some(false)));
    // It is the key that makes them one: with another, the same body is another launch.
    let (status, other) = functions.call(CREATE, with_key("key-2")).await;
    assert_eq!((status, other["created"].as_bool()), (201, Some(true)));
    assert_eq!(launched(&functions).await.len(), 2);
    functions.aws.stop().unwrap();
}

#[tokio::test]
async fn a_launch_is_answered_once_a_read_shows_it() {
    let functions = Functions::start(&[CREATE]).await;
    let sees = |request: &Recorded| request.action == "DescribeInstances" && request.param("InstanceId.1").is_some();
    let unknown = Reply::ec2_error(400, "InvalidInstanceID.NotFound", "The instance ID does not exist");
    let script = functions.ec2_stub.script(sees, Times::Exactly(2), unknown);

    let (status, answer) = functions.call(CREATE, with_key("key-1")).await;

    assert_eq!((status, script.hits(), functions.ec2_stub.requests_matching(sees).len()), (201, 2, 3));
    assert_eq!(answer["instance_id"].as_str(), launched(&functions).await.first().map(String::as_str));
    assert!(!answer["warnings"].to_string().contains("no read shows it"), "{answer}");
    drop(script);

    // One that is never shown is answered too, with what RunInstances said.
    let unknown = Reply::ec2_error(400, "InvalidInstanceID.NotFound", "The instance ID does not exist");
    let script = functions.ec2_stub.script(sees, Times::Always, unknown);
    let (status, answer) = functions.call(CREATE, with_key("key-2")).await;
    assert!(status == 201 && script.hits() > 2, "{status} after {}", script.hits());
    assert!(answer["warnings"].to_string().contains("no read shows it yet"), "{answer}");
    assert_eq!((answer["state"].as_str(), launched(&functions).await.len()), (Some("pending"), 2));
    functions.aws.stop().unwrap();
}

#[tokio::test]
async fn waiting_for_a_launch_never_shown_is_a_202_with_its_id() {
    let functions = Functions::start(&[CREATE]).await;
    let sees = |request: &Recorded| request.action == "DescribeInstances" && request.param("InstanceId.1").is_some();
    let unknown = Reply::ec2_error(400, "InvalidInstanceID.NotFound", "The instance ID does not exist");
    let script = functions.ec2_stub.script(sees, Times::Always, unknown);
    let response = functions
        .respond(CREATE, |event| {
            with_key("key-1")(event);
            event["multiValueQueryStringParameters"] = serde_json::json!({"wait": ["running"]});
        })
        .await;
    assert_eq!((response["statusCode"].as_u64(), script.hits() > 1), (Some(202), true), "{response}");
    let answer: Value = serde_json::from_str(response["body"].as_str().unwrap()).unwrap();
    let [id] = &launched(&functions).await[..] else { panic!("one worker") };
    assert_eq!((answer["instance_id"].as_str(), answer["state"].as_str()), (Some(&**id), Some("pending")));
    assert!(answer["warnings"].to_string().contains("no read shows it yet"), "{answer}");
    assert!(response["multiValueHeaders"]["location"].to_string().contains(id), "{response}");
    functions.aws.stop().unwrap();
}

#[tokio::test]
async fn a_full_fleet_is_a_422_and_launches_nothing() {
    // Two demo workers, which are ours, one that is not, and in the end one of ours that is terminated.
    let mut functions = Functions::start(&[]).await;
    let run = ec2(&functions.aws.ec2_endpoint()).run_instances().image_id(&functions.aws.workers.image.id);
    run.instance_type("c5.2xlarge".into()).min_count(1).max_count(1).send().await.unwrap();
    for (most, status, terminate) in [("2", 422, None), ("3", 201, None), ("3", 422, None), ("3", 201, Some(0))] {
        if let Some(worker) = terminate {
            let id = &functions.aws.workers.demo[worker];
            ec2(&functions.aws.ec2_endpoint()).terminate_instances().instance_ids(id).send().await.unwrap();
        }
        let before = launched(&functions).await.len();
        functions.add(CREATE, CREATE, &[ROOT.as_slice(), &[("CML_MAX_WORKERS", most)]].concat()).await;
        let (answered, answer) = functions.call(CREATE, with_key(&format!("key-{before}"))).await;
        assert_eq!(answered, status, "{answer}");
        assert_eq!(launched(&functions).await.len() - before, usize::from(status == 201));
        functions.kill(CREATE).await;
    }
    functions.aws.stop().unwrap();
}

#[tokio::test]
async fn a_launch_is_answered_although_ec2_is_silent_after_it() {
    let functions = Functions::start(&[CREATE]).await;
    let by_token = |request: &Recorded| request.param("Filter.1.Name") == Some("client-token");
    // The first look-up is for what an earlier sending launched.
    let first = functions.ec2_stub.script(by_token, Times::Exactly(1), Reply::pass_through());
    let script = functions.ec2_stub.script(by_token, Times::Always, Reply::silence());
    let (status, answer) = functions
        .call(CREATE, |event| {
            with_key("key-1")(event);
            let mut body: Value = serde_json::from_str(event["body"].as_str().unwrap()).unwrap();
            body["alternatives"] = serde_json::json!([{"instance_type": "c5.4xlarge"}]);
            event["body"] = body.to_string().into();
        })
        .await;
    assert_eq!((status, first.hits(), script.hits()), (201, 1, 1), "{answer}");
    assert_eq!(answer["instance_id"].as_str(), launched(&functions).await.first().map(String::as_str));
    functions.aws.stop().unwrap();
}
