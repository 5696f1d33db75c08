//! What AWS answers during a soak: what each operation needs to succeed, and every so often a fault.

use std::sync::atomic::{AtomicU32, Ordering};

use bench::aws::answers::answers;

use crate::stub::{Recorded, Reply, Script, Stub, Times, action};

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

/// The answers without a fault: those of the benchmark.
pub fn good(stub: &Stub, operation: &str) -> Vec<Script> {
    let plain = answers(operation, 1).into_iter().filter(|answer| answer.only_with.is_none());
    plain
        .map(|answer| {
            let protocol = answer.protocol.map(|protocol| ("smithy-protocol", protocol));
            let headers: Vec<_> = [("content-type", answer.content_type)].into_iter().chain(protocol).collect();
            stub.script(action(answer.action), Times::Always, Reply::raw(200, &headers, answer.body))
        })
        .collect()
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
                    "tests/bench/src/aws/answers.rs has no answer to {} of {}",
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
