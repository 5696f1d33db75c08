//! What the tests of a launch share: requests, callers with a key, and an EC2 that answers from rules.

mod attempts;
mod checks;
mod keys;
mod request;
mod waiting;

use std::sync::Mutex;

use aws_sdk_ec2::Client;
use aws_sdk_ec2::operation::run_instances::RunInstancesInput;
use aws_smithy_mocks::{Rule, mock};
use serde_json::{Value, json};

use super::*;
use crate::input::Invalid;
use crate::model::idempotency::KeyedRequest;
use crate::model::idempotency_key::IdempotencyKey;
use crate::testing::{self, ID, ec2_error, region, xml};

const NO_WAIT: WaitQuery<UntilUp> = WaitQuery { dry_run: false, wait: None };

fn read(json: Value) -> CreateInstance {
    deserr::deserialize(json).unwrap_or_else(|invalid: Invalid| panic!("{invalid}"))
}

/// Sends a launch to an EC2 that shows the launched instance at once.
async fn create(rules: &[&Rule], wanted: &CreateInstance, dry_run: bool) -> Result<Mutation<Launched>, Error> {
    let shown = shown();
    let clients = testing::clients(&[rules, &[&shown]].concat());
    create_instance(&clients, &region(), wanted, &Caller::default(), WaitQuery { dry_run, wait: None }).await
}

fn shown() -> Rule {
    mock!(Client::describe_instances).then_http_response(|| testing::described("pending", true))
}

fn done(answer: Result<Mutation<Launched>, Error>) -> Launched {
    match answer {
        Ok(Mutation::Done(launched)) => launched,
        other => panic!("{other:?}"),
    }
}

fn wanted() -> CreateInstance {
    read(json!({
        "name": "cml-1", "image_name": "cml-2.8.1-worker", "instance_type": "c5.2xlarge", "subnet_id": "subnet-0123456789abcdef0",
        "security_group_ids": ["sg-0123456789abcdef0"], "key_name": "cml-workers", "tags": {"Lab": "a"}, "detailed_monitoring": true,
    }))
}

fn images(items: &'static str) -> Rule {
    mock!(Client::describe_images).then_http_response(move || {
        xml(200, format!(r#"<DescribeImagesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><imagesSet>{items}</imagesSet></DescribeImagesResponse>"#))
    })
}

const IMAGE: &str = "<item><imageId>ami-0123456789abcdef0</imageId><name>cml-2.8.1-worker</name><creationDate>2026-01-01T00:00:00.000Z</creationDate>\
                     <rootDeviceName>/dev/sda1</rootDeviceName><blockDeviceMapping><item><deviceName>/dev/sdb</deviceName><ebs><volumeSize>8</volumeSize></ebs></item>\
                     <item><deviceName>/dev/sda1</deviceName><ebs><volumeSize>32</volumeSize></ebs></item></blockDeviceMapping></item>\
                     <item><imageId>ami-0aaaaaaaaaaaaaaa0</imageId><name>cml-2.8.1-worker</name><creationDate>2025-01-01T00:00:00.000Z</creationDate></item>\
                     <item><imageId>ami-0bbbbbbbbbbbbbbb0</imageId><name>cml-2.8.1-workers</name><creationDate>2026-09-01T00:00:00.000Z</creationDate></item>";

fn launched() -> aws_sdk_ec2::config::http::HttpResponse {
    xml(
        200,
        format!(
            r#"<RunInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><instancesSet><item><instanceId>{ID}</instanceId>
<imageId>ami-0123456789abcdef0</imageId><instanceState><code>0</code><name>pending</name></instanceState><instanceType>c5.2xlarge</instanceType>
<tagSet><item><key>Name</key><value>cml-1</value></item><item><key>ManagedBy</key><value>cml-cloud-manager</value></item></tagSet></item></instancesSet></RunInstancesResponse>"#
        ),
    )
}

/// An EC2 that has no capacity for `types` and has it for all others.
fn without_capacity(types: &'static [&'static str], code: &'static str) -> (Rule, Rule) {
    let is_full = |r: &RunInstancesInput| types.contains(&r.instance_type().unwrap().as_str());
    let full = mock!(Client::run_instances)
        .match_requests(is_full)
        .then_http_response(move || ec2_error(500, code, "none left"));
    (full, mock!(Client::run_instances).match_requests(move |r| !is_full(r)).then_http_response(launched))
}

fn with_alternatives() -> CreateInstance {
    read(json!({
        "name": "cml-1", "image_name": "cml-2.8.1-worker", "instance_type": "c5.2xlarge",
        "alternatives": [{"instance_type": "c5.4xlarge"}, {"instance_type": "c6i.2xlarge", "subnet_id": "subnet-0aaaaaaaaaaaaaaa0"}],
    }))
}

fn with_key(body: &Value) -> Caller {
    let key = IdempotencyKey::try_from("key-1".to_owned()).unwrap();
    Caller { arn: None, keyed_request: Some(KeyedRequest::new(&key, &region(), Some("AIDA1"), body)) }
}

/// DescribeInstances' answer with an instance that was launched with this token.
fn launched_with(state: &str, token: &str, fingerprint: &str) -> String {
    format!(
        r#"<DescribeInstancesResponse><reservationSet><item><instancesSet><item><instanceId>{ID}</instanceId><clientToken>{token}</clientToken>
<instanceState><name>{state}</name></instanceState><instanceType>c5.2xlarge</instanceType>
<tagSet><item><key>IdempotencyFingerprint</key><value>{fingerprint}</value></item></tagSet></item></instancesSet></item></reservationSet></DescribeInstancesResponse>"#
    )
}

fn found(state: &str, token: &str, fingerprint: &str) -> Rule {
    let body = launched_with(state, token, fingerprint);
    mock!(Client::describe_instances).then_http_response(move || xml(200, body.clone()))
}

/// A DescribeInstances that answers these documents one after the other, and the last one from then on.
fn one_after_the_other(documents: Vec<String>) -> Rule {
    let next = Mutex::new(0);
    mock!(Client::describe_instances).then_http_response(move || {
        let mut next = next.lock().unwrap();
        let document = documents[*next].clone();
        *next = (*next + 1).min(documents.len() - 1);
        xml(200, document)
    })
}
