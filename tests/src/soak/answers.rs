//! What AWS answers during a soak: what each operation needs to succeed, and every so often a fault.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::stub::{Recorded, Reply, Script, Stub, Times, action};

/// The instance of every event.
pub const ID: &str = "i-98dff7e4c6428da80";

const XML: [(&str, &str); 1] = [("content-type", "text/xml;charset=UTF-8")];

/// Faults, each at every so manieth request: primes, so that they meet in every order. What the SDK sends again costs half a
/// second of waiting each, so that is rarer.
pub fn faults(stub: &Stub) -> Vec<Script> {
    let half = || Reply::raw(200, &XML, "<DescribeInstancesResponse><reservationSet><item>").unreadable();
    let errors = [
        (41, 403, "UnauthorizedOperation", "You are not authorized."),
        (43, 400, "InvalidInstanceID.NotFound", "The instance ID does not exist"),
        (47, 400, "SomethingNew", "Nobody knows it."),
        (53, 401, "AuthFailure", "AWS was not able to validate the credentials"),
        (307, 503, "RequestLimitExceeded", "Request limit exceeded."),
        (311, 500, "InternalError", "An internal error has occurred"),
    ];
    // CloudWatch has other codes, in another form.
    let metrics = [
        (41, 403, "AccessDenied", "You are not authorized."),
        (47, 400, "SomethingNew", "Nobody knows it."),
        (53, 403, "InvalidClientTokenId", "The security token included in the request is invalid"),
        (307, 400, "Throttling", "Rate exceeded"),
        (311, 500, "InternalFailure", "An internal error has occurred"),
    ];
    let of_ec2 = |request: &Recorded| request.action != "GetMetricStatistics";
    let ec2 = errors.map(|(period, status, code, message)| {
        stub.script(every(period, of_ec2), Times::Always, Reply::ec2_error(status, code, message))
    });
    let cloudwatch = metrics.map(|(period, status, code, message)| {
        let reply = Reply::cloudwatch_error(status, code, message);
        stub.script(every(period, move |request: &Recorded| !of_ec2(request)), Times::Always, reply)
    });
    let broken = [
        (313, Reply::closed()),
        (317, half()),
        (331, half().cut_short()),
        (337, Reply::raw(200, &XML, "<<<\u{0} nonsense").unreadable()),
        (1009, Reply::silence()),
    ]
    .map(|(period, reply)| stub.script(every(period, |_: &Recorded| true), Times::Always, reply));
    ec2.into_iter().chain(cloudwatch).chain(broken).collect()
}

/// Every so manieth of the requests that are meant.
fn every(
    period: u32,
    meant: impl Fn(&Recorded) -> bool + Send + Sync + 'static,
) -> impl Fn(&Recorded) -> bool + Send + Sync {
    let count = AtomicU32::new(0);
    move |request: &Recorded| meant(request) && count.fetch_add(1, Ordering::Relaxed) % period == period - 1
}

/// The answers without a fault.
pub fn good(stub: &Stub, operation: &str) -> Vec<Script> {
    let state = if operation == "start-instance" { "stopped" } else { "running" };
    let instance = format!(
        "<item><instanceId>{ID}</instanceId><instanceState><name>{state}</name></instanceState><instanceType>c5.2xlarge</instanceType>\
         <tagSet><item><key>ManagedBy</key><value>cml-cloud-manager</value></item></tagSet></item>"
    );
    let change = |to: &str| {
        format!(
            "<instancesSet><item><instanceId>{ID}</instanceId><currentState><name>{to}</name></currentState>\
             <previousState><name>{state}</name></previousState></item></instancesSet>"
        )
    };
    let image = "<imagesSet><item><imageId>ami-0123456789abcdef0</imageId><name>cml-2.8.1-worker</name>\
                 <creationDate>2026-01-01T00:00:00.000Z</creationDate><rootDeviceName>/dev/sda1</rootDeviceName></item></imagesSet>";
    let documents = [
        (
            "DescribeInstances",
            format!("<reservationSet><item><instancesSet>{instance}</instancesSet></item></reservationSet>"),
        ),
        ("DescribeImages", image.to_owned()),
        (
            "DescribeInstanceStatus",
            format!("<instanceStatusSet><item><instanceId>{ID}</instanceId></item></instanceStatusSet>"),
        ),
        ("DescribeRegions", "<regionInfo><item><regionName>us-east-1</regionName></item></regionInfo>".to_owned()),
        (
            "DescribeTags",
            "<tagSet><item><key>ManagedBy</key><value>cml-cloud-manager</value></item></tagSet>".to_owned(),
        ),
        ("RunInstances", format!("<instancesSet>{instance}</instancesSet>")),
        ("StartInstances", change("pending")),
        ("StopInstances", change("stopping")),
        ("TerminateInstances", change("shutting-down")),
        ("CreateTags", "<return>true</return>".to_owned()),
        ("DeleteTags", "<return>true</return>".to_owned()),
    ];
    let scripts = documents.map(|(name, document)| {
        let document = format!("<{name}Response>{document}</{name}Response>");
        stub.script(action(name), Times::Always, Reply::raw(200, &XML, document))
    });
    // {"Datapoints": []} in CBOR (RFC 8949): a map of one pair, text of 10 bytes, an empty array.
    let metrics: &[u8] = b"\xa1\x6aDatapoints\x80";
    let headers = [("content-type", "application/cbor"), ("smithy-protocol", "rpc-v2-cbor")];
    let metrics = stub.script(action("GetMetricStatistics"), Times::Always, Reply::raw(200, &headers, metrics));
    scripts.into_iter().chain([metrics]).collect()
}

#[cfg(test)]
mod tests {
    use shared::ops::OPERATIONS;

    use super::*;

    /// The status of the answer to a call, sent as the SDK sends it: of EC2 a form, of CloudWatch a path.
    async fn status(stub: &Stub, action: &str) -> u16 {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let request = match action.split_once(':').unwrap() {
            ("ec2", name) => http
                .post(stub.endpoint())
                .header("content-type", "application/x-www-form-urlencoded")
                .body(format!("Action={name}")),
            ("cloudwatch", name) => {
                http.post(format!("{}/service/GraniteServiceVersion20100801/operation/{name}", stub.endpoint()))
            }
            _ => panic!("tests/src/soak/answers.rs does not know how {action} is sent"),
        };
        request.send().await.unwrap().status().as_u16()
    }

    #[tokio::test]
    async fn every_call_of_every_operation_has_an_answer() {
        let stub = Stub::start("http://127.0.0.1:9").await;
        for operation in OPERATIONS {
            let _answers = good(&stub, operation.name);
            // The event of a launch names an image and no parameter.
            let calls = operation
                .calls
                .iter()
                .filter(|call| (operation.name, call.action) != ("create-instance", "ssm:GetParameter"));
            for call in calls {
                let status = status(&stub, call.action).await;
                assert_eq!(
                    status, 200,
                    "tests/src/soak/answers.rs has no answer to {} of {}",
                    call.action, operation.name
                );
            }
        }
        // What has no answer goes to the upstream, and there nobody listens.
        let _answers = good(&stub, "health");
        assert_eq!(status(&stub, "ec2:Unknown").await, 502);
        assert_eq!(status(&stub, "cloudwatch:Unknown").await, 502);
    }
}
