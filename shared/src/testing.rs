//! What the unit tests share: clients that answer from rules, and AWS's own XML.

use std::collections::BTreeMap;

use aws_sdk_ec2::config::http::HttpResponse;
use aws_sdk_ec2::config::retry::RetryConfig;
use aws_smithy_mocks::{Rule, RuleMode, mock_client};
use aws_smithy_types::body::SdkBody;

use crate::aws::clients::{Clients, RegionClients};
use crate::aws::needed_elements::NeededElements;
use crate::config::deployment::Deployment;
use crate::config::limits::Limits;
use crate::config::sweep::Sweep;
use crate::config::{Config, DEFAULT_INSTANCE_TYPES};
use crate::model::instance::Instance;
use crate::model::instance_id::InstanceId;
use crate::model::owner::Owner;
use crate::model::path::InstancePath;
use crate::model::region::Region;

/// The instance of every test.
pub(crate) const ID: &str = "i-0123456789abcdef0";

pub(crate) fn region() -> Region {
    Region::try_from("us-east-1".to_owned()).unwrap()
}

pub(crate) fn worker() -> InstancePath {
    InstancePath { region: region(), instance_id: InstanceId::try_from(ID.to_owned()).unwrap() }
}

/// Clients of one region that answer from `rules`, whichever matches, those of all services alike. No retries: a test
/// shall see the first answer.
pub(crate) fn clients(rules: &[&Rule]) -> Clients {
    clients_with(rules, |_| ())
}

/// [`clients`] of another configuration.
pub(crate) fn clients_with(rules: &[&Rule], configure: impl FnOnce(&mut Config)) -> Clients {
    let mut config = Config {
        region: region(),
        managed_by: "cml-cloud-manager".to_owned(),
        allowed_regions: vec![region()],
        allowed_instance_types: DEFAULT_INSTANCE_TYPES.split(',').map(wildmatch::WildMatch::new).collect(),
        max_workers: None,
        image_owners: vec![Owner::default()],
        image_parameters: Vec::new(),
        limits: Limits::default(),
        deployment: Deployment::default(),
        sweep: Sweep::default(),
        metrics_namespace: None,
        roles_of_people: Vec::new(),
    };
    configure(&mut config);
    let ec2 = mock_client!(aws_sdk_ec2, RuleMode::MatchAny, rules, |c| c
        .retry_config(RetryConfig::disabled())
        .interceptor(NeededElements));
    let cloudwatch =
        mock_client!(aws_sdk_cloudwatch, RuleMode::MatchAny, rules, |c| c.retry_config(RetryConfig::disabled()));
    let ssm = mock_client!(aws_sdk_ssm, RuleMode::MatchAny, rules, |c| c.retry_config(RetryConfig::disabled()));
    Clients::of(
        config,
        BTreeMap::from([(region(), RegionClients { ec2: ec2.into(), cloudwatch: cloudwatch.into(), ssm: ssm.into() })]),
    )
}

/// The folder of the journal of a test run; the stubs of `tests` write there too.
const JOURNAL: &str = "CML_TEST_JOURNAL";

/// Writes down what a test has AWS answer, for `tests/aws/read_back.py`, which reads it with AWS's models.
pub(crate) fn journal(action: Option<&str>, status: u16, body: &[u8]) {
    let Some(folder) = std::env::var_os(JOURNAL) else { return };
    let folder = std::path::PathBuf::from(folder);
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join(format!("shared-{}.jsonl", std::process::id()));
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(file).unwrap();
    let body = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, body);
    let line = format!("{}\n", serde_json::json!({"answer": action, "status": status, "body": body}));
    std::io::Write::write_all(&mut file, line.as_bytes()).unwrap();
}

/// An answer of EC2 with this XML.
pub(crate) fn xml(status: u16, body: impl Into<String>) -> HttpResponse {
    let body = body.into();
    journal(None, status, body.as_bytes());
    unreadable(status, body)
}

/// An answer that is none of EC2's.
pub(crate) fn unreadable(status: u16, body: impl Into<String>) -> HttpResponse {
    let mut response = HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body.into()));
    response.headers_mut().insert("x-amzn-requestid", "aws-request-1");
    response
}

/// EC2's error document.
pub(crate) fn ec2_error(status: u16, code: &str, message: &str) -> HttpResponse {
    xml(
        status,
        format!(
            r#"<?xml version="1.0" encoding="UTF-8"?>
<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors><RequestID>aws-request-1</RequestID></Response>"#
        ),
    )
}

/// DescribeInstances' answer with the one instance in `state`, ours if `managed`.
pub(crate) fn described(state: &str, managed: bool) -> HttpResponse {
    let owner = if managed { "cml-cloud-manager" } else { "someone-else" };
    xml(
        200,
        format!(
            r#"<DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>aws-request-1</requestId><reservationSet><item>
<reservationId>r-0123456789abcdef0</reservationId><instancesSet><item><instanceId>{ID}</instanceId><imageId>ami-0123456789abcdef0</imageId>
<instanceState><code>16</code><name>{state}</name></instanceState><privateDnsName/><keyName>cml-workers</keyName><instanceType>c5.2xlarge</instanceType>
<launchTime>2026-01-02T03:04:05.000Z</launchTime><placement><availabilityZone>us-east-1a</availabilityZone><tenancy>default</tenancy></placement>
<monitoring><state>enabled</state></monitoring><subnetId>subnet-0123456789abcdef0</subnetId><vpcId>vpc-0123456789abcdef0</vpcId>
<privateIpAddress>10.0.0.4</privateIpAddress><groupSet><item><groupId>sg-0123456789abcdef0</groupId><groupName>cml</groupName></item></groupSet>
<stateReason><code>Client.UserInitiatedShutdown</code><message>Client.UserInitiatedShutdown: User initiated shutdown</message></stateReason>
<tagSet><item><key>Name</key><value>cml-1</value></item><item><key>ManagedBy</key><value>{owner}</value></item></tagSet>
</item></instancesSet></item></reservationSet></DescribeInstancesResponse>"#
        ),
    )
}

/// StartInstances', StopInstances' or TerminateInstances' answer.
pub(crate) fn state_change(action: &str, from: &str, to: &str) -> HttpResponse {
    xml(
        200,
        format!(
            r#"<{action}Response xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>aws-request-1</requestId><instancesSet><item>
<instanceId>{ID}</instanceId><currentState><code>0</code><name>{to}</name></currentState><previousState><code>80</code><name>{from}</name></previousState>
</item></instancesSet></{action}Response>"#
        ),
    )
}

/// EC2's answer to a tag change.
pub(crate) fn tags_changed(action: &str) -> HttpResponse {
    xml(
        200,
        format!(
            r#"<{action}Response xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>aws-request-1</requestId><return>true</return></{action}Response>"#
        ),
    )
}

/// An API Gateway event with these path parameters, query parameters and body.
pub(crate) fn event(path: serde_json::Value, query: serde_json::Value, body: &str) -> lambda_http::Request {
    let event = serde_json::json!({
        "resource": "/regions/{region}/instances", "path": "/regions/us-east-1/instances", "httpMethod": "POST",
        "headers": {}, "multiValueHeaders": {}, "pathParameters": path, "multiValueQueryStringParameters": query,
        "requestContext": {"stage": "v1", "resourcePath": "/regions/{region}/instances", "httpMethod": "POST", "identity": {}},
        "body": body, "isBase64Encoded": false,
    });
    lambda_http::request::from_str(&event.to_string()).unwrap()
}

/// EC2's instance as answers show it, read in [`region`].
pub(crate) fn read(instance: &aws_sdk_ec2::types::Instance) -> Instance {
    Instance::from_ec2(instance.clone(), &region(), "cml-cloud-manager", std::time::SystemTime::now())
}
