//! Every AWS call of every operation, denied once: the answer names the missing permission.
//!
//! Here the stub denies. [`crate::permissions`] takes the permissions away for real, where an emulator enforces them.

use serde_json::json;
use shared::model::operation::Operation;
use shared::ops::OPERATIONS;
use tests::client::{Answer, with_query};
use tests::stub::{Recorded, Reply, Times};

use crate::world::{REGION, World, assert_problem, unique, world};

/// Calls the operation so that each of its AWS calls is made, unless one before is denied. `mark` is in every one of them.
pub async fn call(world: &World, operation: &Operation, id: &str, mark: &str, image_name: &str) -> Answer {
    let path = operation.path().replace("{region}", REGION).replace("{instance_id}", id);
    let (query, body): (Vec<(&str, &str)>, _) = match operation.name {
        "create-instance" => {
            let mut body = world.launch_body(mark);
            body["image_name"] = image_name.into();
            (vec![], Some(body))
        }
        "get-ami-ids-by-name" => (vec![("name", mark)], None),
        "get-all-instances" => (vec![("tag.Mark", mark)], None),
        "update-instance-tags" => (vec![], Some(json!({"tags": {"Lab": "a"}}))),
        "delete-instance-tags" => (vec![("key", "Lab")], None),
        _ => (vec![], None),
    };
    // With a key, a launch also looks for what an earlier sending of it launched.
    let api = world.api.with_header("Idempotency-Key", mark);
    api.request(operation.method(), &with_query(&path, &query), body).await
}

/// Whether the request is one of the call's: it names the instance, or the mark.
fn is_about(request: &Recorded, action: &str, marks: &[String]) -> bool {
    request.action == action
        && marks.iter().any(|mark| request.params.values().any(|value| value == mark) || request.body_contains(mark))
}

#[tokio::test]
async fn each_denied_aws_call_is_a_403_that_names_it() {
    let mut cases = 0;
    // Health cannot be told apart from the schedule's own calls here; its own tests have it.
    let others = || OPERATIONS.iter().filter(|operation| operation.name != "health");
    for operation in others() {
        for action in operation.actions {
            denied(operation, action).await;
            cases += 1;
        }
    }
    assert_eq!(cases, others().map(|operation| operation.actions.len()).sum::<usize>());
}

async fn denied(operation: &Operation, action: &'static str) {
    let id = world().launch().await;
    if operation.name == "start-instance" {
        world().ec2().stop_instances().instance_ids(&id).send().await.unwrap();
    }
    let mark = unique("denied");
    // Looking an image up is the one call of a launch that does not hold the worker's name.
    let image_name = if action == "ec2:DescribeImages" { &mark } else { &world().stack.info.image_name };
    let (before, mut marks) = (world().state(&id).await, vec![id.clone(), mark.clone()]);
    if (operation.name, action) == ("create-instance", "ec2:DescribeInstances") {
        // The look-up for an earlier launch holds the token of that launch, and nothing else of the request.
        marks.push(token_of_a_launch(operation, &id, &mark).await);
    }
    // CreateTags at launch is RunInstances' own check: EC2 denies the launch and names the tagging.
    let (sent, names) = match (operation.name, action) {
        ("create-instance", "ec2:CreateTags") => ("RunInstances", true),
        _ => (action.split_once(':').unwrap().1, false),
    };
    let sentence = format!(
        "You are not authorized to perform this operation. User: arn:aws:sts::123456789012:assumed-role/cml/cml is not authorized to perform: {action} \
         on resource: * because no identity-based policy allows the {action} action"
    );
    let message = if names { sentence } else { "You are not authorized to perform this operation.".to_owned() };
    let (stub, reply, aws_code) = if action.starts_with("cloudwatch:") {
        (&world().cloudwatch_stub, Reply::cloudwatch_error(403, "AccessDenied", &message), "AccessDenied")
    } else {
        (&world().ec2_stub, Reply::ec2_error(403, "UnauthorizedOperation", &message), "UnauthorizedOperation")
    };
    let script = stub.script(move |request: &Recorded| is_about(request, sent, &marks), Times::Always, reply);
    let answer = call(world(), operation, &id, &mark, image_name).await;
    assert!(script.hits() > 0, "{} never sent {action}", operation.name);
    assert_problem(&answer, 403, "missing_permission");
    assert_eq!(answer.json["missing_permission"], action, "{}", operation.name);
    let by = if names { json!("no_allow") } else { json!(null) };
    assert_eq!(answer.json["denied_by"], by, "{}", answer.text);
    assert_eq!((&answer.json["aws_code"], &answer.json["retryable"]), (&json!(aws_code), &json!(false)));
    assert_eq!(world().state(&id).await, before, "{} changed the instance without {action}", operation.name);
}

/// The `ClientToken` that a launch with this mark as its `Idempotency-Key` has.
async fn token_of_a_launch(operation: &Operation, id: &str, mark: &str) -> String {
    let answer = call(world(), operation, id, mark, &world().stack.info.image_name).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    let mark = mark.to_owned();
    let is_launch = move |r: &Recorded| r.action == "RunInstances" && r.params.values().any(|value| *value == mark);
    world().ec2_stub.requests_matching(is_launch)[0].param("ClientToken").unwrap().to_owned()
}
