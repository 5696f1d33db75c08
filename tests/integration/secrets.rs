//! What AWS says of wrong credentials can hold the credentials.

use serde_json::{Value, json};
use shared::ops::OPERATIONS;
use tests::stack;
use tests::stub::{Reply, Times, action};

use crate::functions::Functions;

/// A session token, as it stands in the request that is signed.
const TOKEN: &str = "IQoJb3JpZ2luX2VjEAYaCXVzLWVhc3QtMSJGEXAMPLETOKEN";

/// What AWS answers to a wrong signature: the request as AWS itself would have signed it. The shape is that of messages that
/// others published; CloudWatch and EC2 were seen with its first lines only.
fn wrong_signature() -> String {
    format!(
        "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and \
         signing method. Consult the service documentation for details.\n\nThe Canonical String for this request should have \
         been\n'POST\n/\n\nhost:ec2.us-east-1.amazonaws.com\nx-amz-date:20261124T000000Z\nx-amz-security-token:{TOKEN}\n\n\
         host;x-amz-date;x-amz-security-token\n0123456789abcdef'\n\nThe String-to-Sign should have been\n'AWS4-HMAC-SHA256\n\
         20261124T000000Z\n20261124/us-east-1/ec2/aws4_request\n0123456789abcdef'\n"
    )
}

#[tokio::test]
async fn a_session_token_in_awss_message_reaches_neither_caller_nor_log() {
    let functions = Functions::start(&OPERATIONS.map(|operation| operation.name)).await;
    let ec2 = stack::ec2(&functions.aws.ec2_endpoint());
    let mut calls = 0;
    for operation in OPERATIONS {
        // The worker is stopped for its start alone: whatever else changes a running worker may stand before or after it.
        if operation.name == "start-instance" {
            ec2.stop_instances().instance_ids(&functions.aws.workers.demo[0]).send().await.unwrap();
        }
        // Tags at launch are in the launch.
        let own = operation
            .actions
            .iter()
            .filter(|action| (operation.name, **action) != ("create-instance", "ec2:CreateTags"));
        for (service, name) in own.filter_map(|action| action.split_once(':')) {
            let (stub, reply) = match service {
                "cloudwatch" => (&functions.cloudwatch_stub, Reply::cloudwatch_error as fn(u16, &str, &str) -> Reply),
                _ => (&functions.ec2_stub, Reply::ec2_error as fn(u16, &str, &str) -> Reply),
            };
            let reply = reply(403, "SignatureDoesNotMatch", &wrong_signature());
            let script = stub.script(action(name), Times::Always, reply);
            let answer = functions.respond(operation.name, with_key).await;
            assert!(script.hits() > 0, "{} never sent {name}: {answer}", operation.name);
            assert!(!answer.to_string().contains(TOKEN), "{}: {answer}", operation.name);
            let body: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
            if operation.name == "health" {
                let mut checks = body["checks"].as_array().unwrap().iter();
                assert!(checks.any(|check| check["aws_code"] == "SignatureDoesNotMatch"), "{body}");
            } else {
                assert_eq!(body["code"], "aws_credentials_invalid", "{}: {body}", operation.name);
                assert_eq!(body["aws_code"], "SignatureDoesNotMatch", "{}: {body}", operation.name);
            }
            calls += 1;
        }
        let program = functions.program(operation.name);
        let log = program.output() + &program.log();
        assert!(!log.contains(TOKEN), "{}: {log}", operation.name);
        // One failed check of two is in the caller's answer alone; below both fail.
        let logs = operation.name != "health";
        assert!(!logs || log.contains("SignatureDoesNotMatch"), "{} logged nothing of it: {log}", operation.name);
        if operation.name == "start-instance" {
            ec2.start_instances().instance_ids(&functions.aws.workers.demo[0]).send().await.unwrap();
        }
    }
    assert_eq!(calls, OPERATIONS.iter().map(|operation| operation.actions.len()).sum::<usize>() - 1);
    // The self-test makes every call that there is.
    let replies = [
        functions.ec2_stub.script(
            |_| true,
            Times::Always,
            Reply::ec2_error(403, "SignatureDoesNotMatch", &wrong_signature()),
        ),
        functions.cloudwatch_stub.script(
            |_| true,
            Times::Always,
            Reply::cloudwatch_error(403, "SignatureDoesNotMatch", &wrong_signature()),
        ),
    ];
    let answer = functions.respond("health", |event| {
        event["queryStringParameters"] = json!({"permissions": "true"});
        event["multiValueQueryStringParameters"] = json!({"permissions": ["true"]});
    });
    let answer = answer.await;
    assert!(replies.iter().all(|script| script.hits() > 0));
    let program = functions.program("health");
    let log = program.output() + &program.log();
    assert!(!(answer.to_string() + &log).contains(TOKEN), "{answer}");
    assert!(log.contains("SignatureDoesNotMatch"), "{log}");
    functions.aws.stop().unwrap();
}

/// With a key, a launch first looks for what the same request launched before.
fn with_key(event: &mut Value) {
    event["headers"]["Idempotency-Key"] = json!("secrets");
    event["multiValueHeaders"]["Idempotency-Key"] = json!(["secrets"]);
}
