use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sdk_ec2::config::retry::RetryConfig;
use aws_sdk_ec2::config::{BehaviorVersion, Region};
use aws_sdk_ec2::error::ProvideErrorMetadata as _;
use aws_sdk_ec2::operation::RequestId as _;

use axum::Router;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{Method, Uri};

use super::reply::cbor_head;
use super::*;

/// An upstream to which everything succeeds, and which says in headers what it saw.
async fn upstream() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().fallback(upstream_answer);
    tokio::spawn(axum::serve(listener, router).into_future());
    endpoint
}

async fn upstream_answer(method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Response<Body> {
    let body = String::from_utf8_lossy(&body);
    let action = body.split('&').find_map(|field| field.strip_prefix("Action=")).unwrap_or("No");
    Response::builder()
        .header(CONTENT_TYPE, "text/xml")
        .header("seen", format!("{method} {uri} {body}"))
        .header("seen-host", headers.get("host").unwrap())
        .header("seen-signed", headers.contains_key(AUTHORIZATION).to_string())
        .body(Body::from(format!("<{action}Response/>")))
        .unwrap()
}

fn credentials() -> Credentials {
    Credentials::builder()
        .access_key_id("AKIDEXAMPLE")
        .secret_access_key("the secret")
        .session_token("the session token")
        .provider_name("tests")
        .build()
}

fn ec2(stub: &Stub) -> aws_sdk_ec2::Client {
    let config = aws_sdk_ec2::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .credentials_provider(credentials())
        .endpoint_url(stub.endpoint())
        .region(Region::new("eu-west-1"))
        .retry_config(RetryConfig::disabled());
    aws_sdk_ec2::Client::from_conf(config.build())
}

fn cloudwatch(stub: &Stub) -> aws_sdk_cloudwatch::Client {
    let config = aws_sdk_cloudwatch::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .credentials_provider(credentials())
        .endpoint_url(stub.endpoint())
        .region(Region::new("eu-west-1"))
        .retry_config(RetryConfig::disabled());
    aws_sdk_cloudwatch::Client::from_conf(config.build())
}

/// `Ok`, or the code of the error.
async fn start(ec2: &aws_sdk_ec2::Client, id: &str) -> Result<(), String> {
    let answer = ec2.start_instances().instance_ids(id).send().await;
    answer.map(drop).map_err(|error| error.code().unwrap_or("none").to_owned())
}

async fn get_metric_statistics(client: &aws_sdk_cloudwatch::Client, id: &str) -> Result<(), aws_sdk_cloudwatch::Error> {
    let dimension = aws_sdk_cloudwatch::types::Dimension::builder().name("InstanceId").value(id).build();
    let now = aws_sdk_cloudwatch::primitives::DateTime::from_secs(1_700_000_000);
    let request = client.get_metric_statistics().namespace("AWS/EC2").metric_name("CPUUtilization");
    request.dimensions(dimension).start_time(now).end_time(now).period(60).send().await?;
    Ok(())
}

#[tokio::test]
async fn a_request_is_recorded_and_passed_on_as_it_came() {
    let stub = Stub::start(&upstream().await).await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let body = "Action=RunInstances&TagSpecification.1.Tag.1.Value=a+b%3D%26%C3%BC";

    let answer = http
        .post(format!("{}/a/path?q=1", stub.endpoint()))
        .header("content-type", "application/x-www-form-urlencoded")
        .header("authorization", "AWS4-HMAC-SHA256 Credential=AKID/20260101/us-east-1/ec2/aws4_request, Signature=5")
        .body(body)
        .send()
        .await
        .unwrap();

    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-type"], "text/xml");
    assert_eq!(answer.headers()["seen"], format!("POST /a/path?q=1 {body}"));
    assert_eq!(answer.headers()["seen-signed"], "true");
    assert_eq!(format!("http://{}", answer.headers()["seen-host"].to_str().unwrap()), stub.endpoint());
    assert_eq!(answer.text().await.unwrap(), "<RunInstancesResponse/>");

    let [request] = &stub.requests()[..] else { panic!("one request") };
    assert_eq!(request.action, "RunInstances");
    assert_eq!(request.param("TagSpecification.1.Tag.1.Value"), Some("a b=&ü"));
    assert_eq!(request.body, body);
    assert_eq!(request.region.as_deref(), Some("us-east-1"));
}

#[tokio::test]
async fn a_script_for_one_request_lets_the_next_one_pass() {
    let stub = Stub::start(&upstream().await).await;
    let reply = Reply::ec2_error(503, "RequestLimitExceeded", "Request limit exceeded.");
    let script = stub.script(action("StartInstances").param("InstanceId.1", "i-1"), Times::Exactly(1), reply);
    let ec2 = ec2(&stub);

    assert_eq!(start(&ec2, "i-1").await, Err("RequestLimitExceeded".to_owned()));
    assert_eq!(start(&ec2, "i-1").await, Ok(()));

    assert_eq!(script.hits(), 1);
    assert_eq!(stub.requests_matching(action("StartInstances")).len(), 2);
}

#[tokio::test]
async fn a_script_leaves_other_ids_and_other_actions_alone() {
    let stub = Stub::start(&upstream().await).await;
    let reply = Reply::ec2_error(400, "IncorrectInstanceState", "no");
    let script = stub.script(action("StartInstances").param("InstanceId.1", "i-1"), Times::Always, reply);
    let ec2 = ec2(&stub);

    assert_eq!(start(&ec2, "i-2").await, Ok(()));
    ec2.stop_instances().instance_ids("i-1").send().await.unwrap();
    assert_eq!(script.hits(), 0);
}

#[tokio::test]
async fn the_first_script_wins_until_it_is_used_up() {
    let stub = Stub::start(&upstream().await).await;
    let _first = stub.script(action("StartInstances"), Times::Exactly(1), Reply::ec2_error(400, "First", ""));
    let _pass = stub.script(action("StartInstances"), Times::Exactly(1), Reply::pass_through());
    let _last = stub.script(|request| request.body_contains("i-1"), Times::Always, Reply::ec2_error(400, "Last", ""));
    let ec2 = ec2(&stub);

    assert_eq!(start(&ec2, "i-1").await, Err("First".to_owned()));
    assert_eq!(start(&ec2, "i-1").await, Ok(()));
    assert_eq!(start(&ec2, "i-1").await, Err("Last".to_owned()));
    assert_eq!(start(&ec2, "i-2").await, Ok(()));
}

#[tokio::test]
async fn a_dropped_script_answers_no_more() {
    let stub = Stub::start(&upstream().await).await;
    let script = stub.script(action("StartInstances"), Times::Always, Reply::ec2_error(400, "Scripted", ""));
    let ec2 = ec2(&stub);

    assert_eq!(start(&ec2, "i-1").await, Err("Scripted".to_owned()));
    drop(script);
    assert_eq!(start(&ec2, "i-1").await, Ok(()));
}

#[tokio::test]
async fn the_sdk_reads_a_scripted_ec2_error_whole() {
    let stub = Stub::start(&upstream().await).await;
    let message = "You are not authorized: <i-1> & \"more\"";
    let _script =
        stub.script(action("StartInstances"), Times::Always, Reply::ec2_error(403, "UnauthorizedOperation", message));

    let error = ec2(&stub).start_instances().instance_ids("i-1").send().await.unwrap_err();

    assert_eq!(error.code(), Some("UnauthorizedOperation"));
    assert_eq!(error.message(), Some(message));
    assert_eq!(error.request_id(), Some(REQUEST_ID));
    assert_eq!(error.raw_response().map(|response| response.status().as_u16()), Some(403));
}

#[tokio::test]
async fn the_sdk_reads_a_scripted_cloudwatch_error_whole() {
    let stub = Stub::start(&upstream().await).await;
    let message = format!("not authorized to perform: cloudwatch:GetMetricStatistics{}", ".".repeat(300));
    let reply = Reply::cloudwatch_error(403, "AccessDenied", &message);
    let matcher = action("GetMetricStatistics").body_contains("i-1");
    let script = stub.script(matcher, Times::Always, reply);
    let cloudwatch = cloudwatch(&stub);

    let error = get_metric_statistics(&cloudwatch, "i-1").await.unwrap_err();
    assert_eq!(error.code(), Some("AccessDenied"));
    assert_eq!(error.message(), Some(message.as_str()));
    assert_eq!(error.request_id(), Some(REQUEST_ID));

    // Upstream's XML is no CBOR, so this fails too; but not by the script.
    assert!(get_metric_statistics(&cloudwatch, "i-2").await.is_err());
    assert_eq!(script.hits(), 1);
    assert_eq!(stub.requests_matching(action("GetMetricStatistics")).len(), 2);
}

#[test]
fn the_body_alone_names_a_cloudwatch_error_too() {
    let response = Reply::cloudwatch_error(500, "InternalFailure", "m").answer.unwrap();

    assert_eq!(response.headers()["x-amzn-query-error"], "InternalFailure;Receiver");
    let expected = b"\xa2\x66__type\x78\x28com.amazonaws.cloudwatch#InternalFailure\x67message\x61m";
    assert_eq!(response.body().as_ref(), expected);
}

#[test]
fn cbor_lengths_take_their_shortest_form() {
    assert_eq!(cbor_head(3, 23), [0x77]);
    assert_eq!(cbor_head(3, 24), [0x78, 24]);
    assert_eq!(cbor_head(3, 255), [0x78, 255]);
    assert_eq!(cbor_head(3, 256), [0x79, 1, 0]);
    assert_eq!(cbor_head(3, 65_536), [0x7a, 0, 1, 0, 0]);
}

#[tokio::test]
async fn a_raw_answer_arrives_as_scripted() {
    let stub = Stub::start(&upstream().await).await;
    let _script = stub.script(|_| true, Times::Always, Reply::raw(418, &[("x-tea", "green")], "no xml"));

    let answer = reqwest::Client::builder().no_proxy().build().unwrap().get(stub.endpoint()).send().await.unwrap();

    assert_eq!(answer.status(), 418);
    assert_eq!(answer.headers()["x-tea"], "green");
    assert_eq!(answer.text().await.unwrap(), "no xml");
}

#[tokio::test]
async fn no_credential_is_recorded() {
    let stub = Stub::start(&upstream().await).await;
    assert_eq!(start(&ec2(&stub), "i-1").await, Ok(()));

    let [request] = &stub.requests()[..] else { panic!("one request") };
    assert_eq!(request.region.as_deref(), Some("eu-west-1"));
    assert!(request.headers.contains_key("x-amz-date"));
    assert!(!request.headers.contains_key("authorization"));
    let shown = format!("{request:?}");
    for secret in ["the secret", "the session token", "AKIDEXAMPLE", "Signature="] {
        assert!(!shown.contains(secret), "{secret} is in {shown}");
    }
}

#[tokio::test]
async fn an_upstream_that_is_down_is_a_502_that_says_so() {
    // Port 1 is tcpmux: reserved, and never given out to programs that ask for a free port.
    let stub = Stub::start("http://127.0.0.1:1").await;

    let answer = reqwest::Client::builder().no_proxy().build().unwrap().get(stub.endpoint()).send().await.unwrap();

    assert_eq!(answer.status(), 502);
    assert!(answer.text().await.unwrap().starts_with("the stub's upstream does not answer"));
}

#[tokio::test]
async fn a_dropped_stub_listens_no_more() {
    let stub = Stub::start("http://127.0.0.1:1").await;
    let endpoint = stub.endpoint().to_owned();
    drop(stub);

    let answer = reqwest::Client::builder().no_proxy().build().unwrap().get(endpoint).send().await;

    assert!(answer.unwrap_err().is_connect());
}

#[test]
fn a_stub_outlives_the_runtime_that_started_it() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let stub = runtime().block_on(Stub::start("http://127.0.0.1:1"));

    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = runtime().block_on(http.get(stub.endpoint()).send()).unwrap();

    assert_eq!(answer.status(), 502);
}

/// What a caller reads of a scripted answer, and whether upstream carried the request out.
async fn read(reply: Reply) -> (Result<String, reqwest::Error>, bool) {
    let stub = Stub::start(&upstream().await).await;
    let _script = stub.script(|_| true, Times::Always, reply);
    let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(3)).build().unwrap();
    let read = async { http.post(stub.endpoint()).body("Action=Do").send().await?.text().await };
    let read = read.await;
    let worked = stub.requests()[0].upstream().is_some_and(|answer| answer.status() == 200);
    (read, worked)
}

#[tokio::test]
async fn a_script_can_spoil_an_answer_before_or_after_the_work() {
    let whole = || Reply::raw(200, &[], "0123456789");
    assert!(matches!(read(whole()).await, (Ok(text), false) if text == "0123456789"));
    assert!(matches!(read(whole().after_work()).await, (Ok(text), true) if text == "0123456789"));
    assert!(matches!(read(Reply::pass_through()).await, (Ok(text), true) if text == "<DoResponse/>"));
    assert!(matches!(read(Reply::pass_through().truncated()).await, (Ok(text), true) if text == "<DoRes"));
    for (reply, is_expected) in [
        (Reply::closed(), reqwest::Error::is_request as fn(&reqwest::Error) -> bool),
        (Reply::silence(), reqwest::Error::is_timeout),
        (whole().slowly(), reqwest::Error::is_timeout),
        (whole().cut_short(), reqwest::Error::is_decode),
        (Reply::pass_through().cut_short(), reqwest::Error::is_decode),
    ] {
        let works_anyway = reply.work;
        let (answer, worked) = read(reply.clone()).await;
        assert!(is_expected(answer.as_ref().unwrap_err()), "{reply:?}: {answer:?}");
        assert_eq!(worked, works_anyway, "{reply:?}");
        let (answer, worked) = read(reply.clone().after_work()).await;
        assert!(is_expected(answer.as_ref().unwrap_err()) && worked, "{reply:?} after work: {answer:?}");
    }
}

#[tokio::test]
async fn a_forgotten_request_is_recorded_no_more_and_the_next_one_is() {
    let stub = Stub::start(&upstream().await).await;
    assert_eq!(start(&ec2(&stub), "i-1").await, Ok(()));
    stub.forget();
    assert!(stub.requests().is_empty());
    assert_eq!(start(&ec2(&stub), "i-2").await, Ok(()));
    assert_eq!(stub.requests().len(), 1);
}
