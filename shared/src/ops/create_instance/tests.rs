use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use aws_sdk_ec2::Client;
use aws_sdk_ec2::operation::run_instances::RunInstancesInput;
use aws_sdk_ec2::types::{EbsBlockDevice, HttpTokensState, ResourceType};
use aws_smithy_mocks::{Rule, mock};
use serde_json::{Value, json};

use super::*;
use crate::aws::deadline;
use crate::input::Invalid;
use crate::model::idempotency::KeyedRequest;
use crate::model::idempotency_key::IdempotencyKey;
use crate::model::instance_type::InstanceType;
use crate::model::launch::MAX_ATTEMPTS;
use crate::model::tags::tag;
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

/// Whether the launch tags each resource, allows only IMDSv2, is encrypted, and has all that the caller asked for.
fn is_whole(r: &RunInstancesInput) -> bool {
    let kinds: Vec<_> = r.tag_specifications().iter().filter_map(|s| s.resource_type().cloned()).collect();
    let tagged = r.tag_specifications().iter().all(|s| {
        [("Name", "cml-1"), ("ManagedBy", "cml-cloud-manager"), ("Lab", "a")]
            .iter()
            .all(|(k, v)| s.tags().contains(&tag(k, v)))
    });
    let imds = r.metadata_options().is_some_and(|o| {
        o.http_tokens() == Some(&HttpTokensState::Required) && o.http_put_response_hop_limit() == Some(2)
    });
    let [device, other] = r.block_device_mappings() else { return false };
    kinds == [ResourceType::Instance, ResourceType::Volume, ResourceType::NetworkInterface]
        && tagged
        && imds
        && (device.device_name(), device.ebs().and_then(EbsBlockDevice::encrypted)) == (Some("/dev/sda1"), Some(true))
        && device.ebs().and_then(EbsBlockDevice::volume_size) == Some(32)
        && (other.device_name(), other.ebs().and_then(EbsBlockDevice::encrypted)) == (Some("/dev/sdb"), Some(true))
        && (r.image_id(), r.min_count(), r.max_count()) == (Some("ami-0123456789abcdef0"), Some(1), Some(1))
        && (r.subnet_id(), r.key_name()) == (Some("subnet-0123456789abcdef0"), Some("cml-workers"))
        && r.security_group_ids() == ["sg-0123456789abcdef0"]
        && r.monitoring().and_then(|m| m.enabled()) == Some(true)
        && r.client_token().is_some_and(|token| token.len() <= 64)
}

#[tokio::test]
async fn a_launch_by_name_sends_everything_in_one_request() {
    let images = images(IMAGE);
    let run = mock!(Client::run_instances).match_requests(is_whole).then_http_response(launched);
    let launched = done(create(&[&images, &run], &wanted(), false).await);
    assert_eq!(launched.instance.instance_id, ID);
    assert_eq!(launched.instance.image_name.as_deref(), Some("cml-2.8.1-worker"));
    assert!(launched.instance.managed);
    assert_eq!(run.num_calls(), 1);
}

const IMAGE_WITH_VOLUMES: &str = "<item><imageId>ami-0123456789abcdef0</imageId><name>cml-2.8.1-worker</name>\
    <rootDeviceName>/dev/xvda</rootDeviceName><rootDeviceType>ebs</rootDeviceType><blockDeviceMapping>\
    <item><deviceName>/dev/xvda</deviceName><ebs><volumeSize>8</volumeSize><encrypted>true</encrypted></ebs></item>\
    <item><deviceName>/dev/xvdf</deviceName><ebs><volumeSize>16</volumeSize><encrypted>false</encrypted></ebs></item>\
    <item><deviceName>/dev/sdg</deviceName><ebs><volumeSize>16</volumeSize><encrypted>true</encrypted></ebs></item>\
    <item><deviceName>/dev/sdh</deviceName><virtualName>ephemeral0</virtualName></item></blockDeviceMapping></item>";

#[tokio::test]
async fn the_images_own_volumes_are_encrypted_and_the_callers_stand_beside_them() {
    let images = images(IMAGE_WITH_VOLUMES);
    let mut wanted = wanted();
    wanted.launch.extra_volumes =
        deserr::deserialize::<_, _, Invalid>(json!([{"size_gib": 1}, {"size_gib": 2}])).unwrap();
    let mapped = |r: &RunInstancesInput| {
        let mappings = r.block_device_mappings().iter().map(|device| {
            let ebs = device.ebs().unwrap();
            (device.device_name().unwrap(), ebs.encrypted().unwrap(), ebs.volume_size().unwrap())
        });
        // /dev/sdg is encrypted already. /dev/sdh is no EBS volume, so its name stays free.
        let expected = [("/dev/xvda", true, 8), ("/dev/xvdf", true, 16), ("/dev/sdh", true, 1), ("/dev/sdi", true, 2)];
        mappings.eq(expected)
    };
    let run = mock!(Client::run_instances).match_requests(mapped).then_http_response(launched);
    assert!(done(create(&[&images, &run], &wanted, false).await).created);

    wanted.launch.extra_volumes =
        deserr::deserialize::<_, _, Invalid>(json!(vec![json!({"size_gib": 1}); 10])).unwrap();
    let error = create(&[&images, &run], &wanted, false).await.unwrap_err();
    assert_eq!((error.fields.errors()[0].field.as_str(), run.num_calls()), ("extra_volumes", 1));
    assert!(error.detail.contains("at most 9"), "{}", error.detail);
}

#[tokio::test]
async fn a_root_volume_is_not_asked_of_an_image_without_ebs() {
    let images = images(
        "<item><imageId>ami-0123456789abcdef0</imageId><name>cml-2.8.1-worker</name><rootDeviceName>/dev/sda1</rootDeviceName>\
         <rootDeviceType>instance-store</rootDeviceType></item>",
    );
    let run = mock!(Client::run_instances)
        .match_requests(|r| r.block_device_mappings().is_empty())
        .then_http_response(launched);
    let mut wanted = wanted();
    assert!(done(create(&[&images, &run], &wanted, false).await).created);
    wanted.launch.root_volume.encrypted = Some(false);
    let error = create(&[&images, &run], &wanted, false).await.unwrap_err();
    assert_eq!((error.fields.errors()[0].field.as_str(), run.num_calls()), ("root_volume", 1));
}

#[tokio::test]
async fn a_callers_arn_is_a_tag_value_however_long_it_is() {
    let images = images(IMAGE);
    let arn = format!("arn:aws:iam::123456789012:user/{}/cml", "path/".repeat(100));
    let cut = tag("CreatedBy", &arn[..256]);
    let run = mock!(Client::run_instances)
        .match_requests(move |r| r.tag_specifications().iter().all(|s| s.tags().contains(&cut)))
        .then_http_response(launched);
    let clients = testing::clients(&[&images, &run, &shown()]);
    let caller = Caller { arn: Some(arn), keyed_request: None };
    assert!(done(create_instance(&clients, &region(), &wanted(), &caller, NO_WAIT).await).created);
}

#[tokio::test]
async fn a_name_that_no_image_has_launches_nothing() {
    let images = images("<item><imageId>ami-0bbbbbbbbbbbbbbb0</imageId><name>cml-2.8.1-workers</name></item>");
    let run = mock!(Client::run_instances).then_http_response(launched);
    let error = create(&[&images, &run], &wanted(), false).await.unwrap_err();
    assert_eq!((error.code, run.num_calls()), (Code::ImageNotFound, 0));
}

#[tokio::test]
async fn a_type_that_is_not_allowed_never_reaches_ec2() {
    let images = images(IMAGE);
    let mut wanted = wanted();
    wanted.launch.instance_type = InstanceType::try_from("t3.micro".to_owned()).unwrap();
    wanted.launch.alternatives = deserr::deserialize::<_, _, Invalid>(json!([{"instance_type": "t4g.nano"}])).unwrap();
    let error = create(&[&images], &wanted, true).await.unwrap_err();
    assert_eq!((error.code, images.num_calls()), (Code::InstanceTypeNotAllowed, 0));
    assert!(error.detail.ends_with(": t3.micro, t4g.nano"), "{}", error.detail);
}

#[tokio::test]
async fn a_dry_run_asks_and_launches_nothing() {
    let images = images(IMAGE);
    let run = mock!(Client::run_instances).match_requests(|r| r.dry_run() == Some(true)).then_http_response(|| {
        ec2_error(412, "DryRunOperation", "Request would have succeeded, but DryRun flag is set.")
    });
    let answer = create(&[&images, &run], &wanted(), true).await.unwrap();
    assert_eq!(serde_json::to_value(answer).unwrap(), json!({"dry_run": true, "permitted": true}));
}

#[tokio::test]
async fn no_launch_is_begun_in_the_last_seconds_of_an_invocation() {
    let (images, shown) = (images(IMAGE), shown());
    let run = mock!(Client::run_instances).then_http_response(launched);
    let clients = testing::clients(&[&images, &run, &shown]);
    for (seconds, launches) in [(3, 0), (10, 1)] {
        let deadline = SystemTime::now() + Duration::from_secs(seconds);
        let (region, wanted, caller) = (region(), wanted(), Caller::default());
        let launch = create_instance(&clients, &region, &wanted, &caller, NO_WAIT);
        let launched = deadline::within(deadline, SystemTime::now(), launch).await;
        assert_eq!(run.num_calls(), launches, "{launched:?}");
        let refused = launched.err().map(|error| (error.code, error.detail.contains("nothing was launched")));
        assert_eq!(refused, (launches == 0).then_some((Code::AwsTimeout, true)));
    }
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

#[test]
fn no_launch_takes_more_tries_than_a_key_has_tokens() {
    let most = read(json!({
        "name": "a", "image_id": "ami-12345678", "instance_type": "c5.large", "spot": {}, "on_demand_fallback": true,
        "alternatives": [{}, {}, {}, {}, {}],
    }));
    assert_eq!(Attempt::all(&most.launch).len(), MAX_ATTEMPTS);
}

#[tokio::test]
async fn without_capacity_the_alternatives_are_tried_in_order() {
    let images = images(IMAGE);
    let (full, free) = without_capacity(&["c5.2xlarge", "c5.4xlarge"], "InsufficientInstanceCapacity");
    let launched = done(create(&[&images, &full, &free], &with_alternatives(), false).await);
    let failed: Vec<_> =
        launched.failed_attempts.iter().map(|a| (a.instance_type.as_str(), a.aws_code.as_deref())).collect();
    let code = Some("InsufficientInstanceCapacity");
    assert_eq!(failed, [("c5.2xlarge", code), ("c5.4xlarge", code)]);
    assert_eq!((full.num_calls(), free.num_calls()), (2, 1));
}

#[tokio::test]
async fn a_permanent_error_ends_the_launch_at_once() {
    let images = images(IMAGE);
    let (full, free) = without_capacity(&["c5.2xlarge"], "VcpuLimitExceeded");
    let error = create(&[&images, &full, &free], &with_alternatives(), false).await.unwrap_err();
    assert_eq!((error.code, full.num_calls(), free.num_calls()), (Code::QuotaExceeded, 1, 0));
}

#[tokio::test]
async fn when_nothing_has_capacity_the_answer_names_each_try() {
    let images = images(IMAGE);
    let (full, free) = without_capacity(&["c5.2xlarge", "c5.4xlarge", "c6i.2xlarge"], "InsufficientInstanceCapacity");
    let error = create(&[&images, &full, &free], &with_alternatives(), false).await.unwrap_err();
    assert_eq!((error.code, error.retryable), (Code::InsufficientCapacity, true));
    assert!(error.detail.contains("c5.2xlarge") && error.detail.contains("c5.4xlarge"), "{}", error.detail);
}

#[tokio::test]
async fn an_alternatives_subnet_and_a_reservation_are_those_of_their_try() {
    let images = images(IMAGE);
    let sent = std::sync::Arc::new(Mutex::new(Vec::new()));
    let seen = std::sync::Arc::clone(&sent);
    let spot = mock!(Client::run_instances)
        .match_requests(move |r| {
            let is_spot = r.instance_market_options().is_some();
            let subnet = r.subnet_id().map(str::to_owned);
            seen.lock().unwrap().push((subnet, is_spot, r.capacity_reservation_specification().is_some()));
            is_spot
        })
        .then_http_response(|| ec2_error(500, "InsufficientInstanceCapacity", "none"));
    let on_demand = mock!(Client::run_instances).then_http_response(launched);
    let wanted = read(json!({
        "name": "a", "image_name": "cml-2.8.1-worker", "instance_type": "c5.2xlarge", "spot": {}, "on_demand_fallback": true,
        "capacity_reservation": {"preference": "open"}, "alternatives": [{"subnet_id": "subnet-0aaaaaaaaaaaaaaa0"}],
    }));
    let launched = done(create(&[&images, &spot, &on_demand], &wanted, false).await);
    let other = Some("subnet-0aaaaaaaaaaaaaaa0".to_owned());
    assert_eq!(*sent.lock().unwrap(), [(None, true, false), (other.clone(), true, false), (None, false, true)]);
    let failed = launched.failed_attempts.into_iter().map(|attempt| (attempt.subnet_id, attempt.lifecycle));
    assert_eq!(failed.collect::<Vec<_>>(), [(None, "spot"), (other, "spot")]);
}

#[tokio::test]
async fn spot_falls_back_to_on_demand_only_when_told_to() {
    let body = |fallback: bool| {
        read(
            json!({"name": "a", "image_name": "cml-2.8.1-worker", "instance_type": "c5.2xlarge", "spot": {"max_price": "0.1"}, "on_demand_fallback": fallback}),
        )
    };
    let images = images(IMAGE);
    let spot = mock!(Client::run_instances)
        .match_requests(|r| r.instance_market_options().is_some())
        .then_http_response(|| ec2_error(400, "SpotMaxPriceTooLow", "more, please"));
    let on_demand = mock!(Client::run_instances)
        .match_requests(|r| r.instance_market_options().is_none())
        .then_http_response(launched);
    let refused = create(&[&images, &spot, &on_demand], &body(false), false).await.unwrap_err();
    assert_eq!((refused.code, on_demand.num_calls()), (Code::InsufficientCapacity, 0));
    let launched = done(create(&[&images, &spot, &on_demand], &body(true), false).await);
    assert_eq!((launched.failed_attempts[0].lifecycle, on_demand.num_calls()), ("spot", 1));
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

#[tokio::test]
async fn a_retry_finds_the_launch_of_any_attempt_and_launches_nothing() {
    let caller = with_key(&json!({"name": "cml-1"}));
    let keyed_request = caller.keyed_request.clone().unwrap();
    for attempt in 0..3 {
        let earlier = found("running", &keyed_request.token(attempt, 0), &keyed_request.fingerprint);
        // Neither the image nor the capacity is asked about, because both may be gone.
        let clients = testing::clients(&[&earlier]);
        let again = done(create_instance(&clients, &region(), &with_alternatives(), &caller, NO_WAIT).await);
        assert_eq!((again.instance.instance_id.as_str(), again.created), (ID, false));
    }
}

#[tokio::test]
async fn a_key_of_another_body_or_terminated_worker_is_a_409() {
    let caller = with_key(&json!({"name": "cml-1"}));
    let keyed_request = caller.keyed_request.clone().unwrap();
    for (state, attempt, fingerprint) in [
        ("running", 0, "other"),
        // The other body had more alternatives than this one.
        ("running", MAX_ATTEMPTS - 1, "other"),
        ("terminated", 0, keyed_request.fingerprint.as_str()),
    ] {
        let earlier = found(state, &keyed_request.token(attempt, 0), fingerprint);
        let error = create_instance(&testing::clients(&[&earlier]), &region(), &with_alternatives(), &caller, NO_WAIT)
            .await
            .unwrap_err();
        assert_eq!(error.code, Code::IdempotencyMismatch);
        assert!(error.detail.contains(ID));
    }
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

#[tokio::test]
async fn an_instance_without_visible_tags_is_not_yet_taken_for_a_launch() {
    let caller = with_key(&json!({"name": "cml-1"}));
    let keyed_request = caller.keyed_request.clone().unwrap();
    let bare = launched_with("pending", &keyed_request.token(0, 0), "").replace("IdempotencyFingerprint", "Lab");
    for (fingerprint, code) in [(keyed_request.fingerprint.as_str(), None), ("other", Some(Code::IdempotencyMismatch))]
    {
        let tagged = launched_with("pending", &keyed_request.token(0, 0), fingerprint);
        let shown = one_after_the_other(vec![bare.clone(), bare.clone(), tagged]);
        let again =
            create_instance(&testing::clients(&[&shown]), &region(), &with_alternatives(), &caller, NO_WAIT).await;
        assert_eq!((again.err().map(|error| error.code), shown.num_calls()), (code, 3));
    }
    // If EC2 never shows the tags, the caller may ask again; nothing was launched.
    let shown = one_after_the_other(vec![bare]);
    let deadline = SystemTime::now() + Duration::from_secs(3);
    let (clients, region, wanted) = (testing::clients(&[&shown]), region(), with_alternatives());
    let create = create_instance(&clients, &region, &wanted, &caller, NO_WAIT);
    let error = deadline::within(deadline, SystemTime::now(), create).await.unwrap_err();
    assert_eq!((error.code, error.retryable), (Code::IdempotencyMismatch, true), "{}", error.detail);
    assert!(error.detail.contains(ID), "{}", error.detail);
}

#[tokio::test]
async fn a_twin_launch_of_the_same_key_is_named() {
    let caller = with_key(&json!({"name": "cml-1"}));
    let keyed_request = caller.keyed_request.clone().unwrap();
    let (images, run) = (images(IMAGE), mock!(Client::run_instances).then_http_response(launched));
    let nothing = "<DescribeInstancesResponse><reservationSet/></DescribeInstancesResponse>".to_owned();
    let of = |id: &str, state: &str, token: usize| {
        launched_with(state, &keyed_request.token(token, 0), &keyed_request.fingerprint).replace(ID, id)
    };
    let reservation = |document: &str| {
        let (_, after) = document.split_once("<reservationSet>").unwrap();
        after.split_once("</reservationSet>").unwrap().0.to_owned()
    };
    let twins =
        [of("i-0aaaaaaaaaaaaaaa1", "terminated", 2), of("i-0aaaaaaaaaaaaaaa2", "pending", 1), of(ID, "pending", 0)];
    let twins = twins.map(|document| reservation(&document)).concat();
    let twins =
        format!("<DescribeInstancesResponse><reservationSet>{twins}</reservationSet></DescribeInstancesResponse>");
    let by_token = one_after_the_other(vec![nothing, twins]);
    let shown = mock!(Client::describe_instances)
        .match_requests(|r| r.instance_ids() == [ID])
        .then_http_response(|| testing::described("pending", true));
    let clients = testing::clients(&[&images, &run, &shown, &by_token]);
    let launched = done(create_instance(&clients, &region(), &with_alternatives(), &caller, NO_WAIT).await);
    assert_eq!((launched.instance.instance_id.as_str(), by_token.num_calls()), (ID, 2));
    let named = launched.warnings.iter().filter(|warning| warning.contains("also launched"));
    let named: Vec<&String> = named.collect();
    assert!(named.len() == 1 && named[0].contains("i-0aaaaaaaaaaaaaaa2"), "{named:?}");
    // A later sending is answered with the instance of the earliest try that is not gone.
    let again = done(create_instance(&clients, &region(), &with_alternatives(), &caller, NO_WAIT).await);
    assert_eq!((again.instance.instance_id.as_str(), again.created, run.num_calls()), (ID, false, 1));
    assert!(again.warnings.last().unwrap().contains("i-0aaaaaaaaaaaaaaa2"), "{:?}", again.warnings);
}

#[tokio::test]
async fn without_a_key_a_launch_in_doubt_is_not_called_retryable() {
    let images = images(IMAGE);
    for (status, code, open) in [(500, "InternalError", true), (503, "RequestLimitExceeded", false)] {
        let run = mock!(Client::run_instances).then_http_response(move || ec2_error(status, code, "EC2's words."));
        let shown = mock!(Client::describe_instances).then_http_response(|| {
            xml(200, "<DescribeInstancesResponse><reservationSet/></DescribeInstancesResponse>")
        });
        let clients = testing::clients(&[&images, &run, &shown]);
        for (caller, has_key) in [(Caller::default(), false), (with_key(&json!({})), true)] {
            let error = create_instance(&clients, &region(), &wanted(), &caller, NO_WAIT).await.unwrap_err();
            assert_eq!(error.retryable, has_key || !open, "{code}: {}", error.detail);
            assert_eq!(error.detail.contains("Idempotency-Key"), open && !has_key, "{}", error.detail);
        }
    }
}

#[tokio::test]
async fn a_launch_is_ours_only_with_the_fingerprint_of_this_request() {
    let caller = with_key(&json!({"name": "cml-1"}));
    let nothing = mock!(Client::describe_instances)
        .then_http_response(|| xml(200, "<DescribeInstancesResponse><reservationSet/></DescribeInstancesResponse>"));
    let images = images(IMAGE);
    let launched_at = |seconds: u64| {
        let at = SystemTime::now() - Duration::from_secs(seconds);
        let at = aws_sdk_ec2::primitives::DateTime::from(at);
        at.fmt(aws_sdk_ec2::primitives::DateTimeFormat::DateTime).unwrap()
    };
    let tagged = |fingerprint: &str| {
        format!("<tagSet><item><key>IdempotencyFingerprint</key><value>{fingerprint}</value></item></tagSet>")
    };
    let own = tagged(&caller.keyed_request.as_ref().unwrap().fingerprint);
    for (tags, seconds, expected) in [
        (tagged("another's"), 9, Err(false)),
        (own.clone(), 9, Ok(false)),
        (own, 0, Ok(true)),
        // Nobody can say yet whose instance it is.
        (String::new(), 9, Err(true)),
    ] {
        let document = format!(
            "<RunInstancesResponse><instancesSet><item><instanceId>{ID}</instanceId><instanceState><name>pending</name>\
             </instanceState><launchTime>{}</launchTime>{tags}</item></instancesSet></RunInstancesResponse>",
            launched_at(seconds)
        );
        let run = mock!(Client::run_instances).then_http_response(move || xml(200, document.clone()));
        let clients = testing::clients(&[&images, &run, &nothing]);
        let (region, wanted) = (region(), wanted());
        let launching = Launching::new(&clients, &region, &wanted.launch, &caller).unwrap();
        assert!(launching.earlier().await.unwrap().is_none());
        let answer = launching.launch(&wanted.image).await.map(|launched| launched.created).map_err(|error| {
            assert_eq!(error.code, Code::IdempotencyMismatch);
            error.retryable
        });
        assert_eq!(answer, expected, "{tags} {seconds} s ago");
    }
}

#[tokio::test]
async fn a_token_of_a_vanished_instance_is_not_a_launch() {
    let caller = with_key(&json!({"name": "cml-1"}));
    let nothing = mock!(Client::describe_instances)
        .then_http_response(|| xml(200, "<DescribeInstancesResponse><reservationSet/></DescribeInstancesResponse>"));
    let gone = testing::described("terminated", true);
    let gone = String::from_utf8(gone.body().bytes().unwrap().to_vec()).unwrap();
    let (_, instances) = gone.split_once("<instancesSet>").unwrap();
    let (instances, _) = instances.split_once("</instancesSet>").unwrap();
    let gone = format!("<RunInstancesResponse><instancesSet>{instances}</instancesSet></RunInstancesResponse>");
    let run = mock!(Client::run_instances).then_http_response(move || xml(200, gone.clone()));
    let images = images(IMAGE);
    let clients = testing::clients(&[&images, &run, &nothing]);
    let error = create_instance(&clients, &region(), &wanted(), &caller, NO_WAIT).await.unwrap_err();
    assert_eq!((error.code, error.retryable), (Code::IdempotencyMismatch, false));
}

#[tokio::test]
async fn a_refusal_names_the_alternative_that_it_is_about() {
    let images = images(IMAGE);
    for (code, field) in [
        ("InvalidSubnetID.NotFound", "alternatives[1].subnet_id"),
        ("InvalidInstanceType", "alternatives[1].instance_type"),
        ("Unsupported", "alternatives[1]"),
        ("UnsupportedOperation", "alternatives[1]"),
        ("InvalidKeyPair.NotFound", "key_name"),
    ] {
        let full = without_capacity(&["c5.2xlarge", "c5.4xlarge"], "InsufficientInstanceCapacity").0;
        let refused = mock!(Client::run_instances).then_http_response(move || ec2_error(400, code, "EC2's words."));
        let error = create(&[&images, &full, &refused], &with_alternatives(), false).await.unwrap_err();
        assert_eq!(error.fields.errors()[0].field, field);
    }
    // In the second round, which is on-demand, the alternatives are the same.
    let body = read(json!({
        "name": "cml-1", "image_name": "cml-2.8.1-worker", "instance_type": "c5.2xlarge", "spot": {}, "on_demand_fallback": true,
        "alternatives": [{"instance_type": "c5.4xlarge"}],
    }));
    let spot = mock!(Client::run_instances)
        .match_requests(|r| r.instance_market_options().is_some())
        .then_http_response(|| ec2_error(500, "InsufficientInstanceCapacity", "none"));
    let full = without_capacity(&["c5.2xlarge"], "InsufficientInstanceCapacity").0;
    let refused = mock!(Client::run_instances)
        .match_requests(|r| r.instance_market_options().is_none())
        .then_http_response(|| ec2_error(400, "Unsupported", "no"));
    let error = create(&[&images, &spot, &full, &refused], &body, false).await.unwrap_err();
    assert_eq!(error.fields.errors()[0].field, "alternatives[0]");
    // If the launch itself is refused, it is not known which field is meant.
    let refused = mock!(Client::run_instances).then_http_response(|| ec2_error(400, "Unsupported", "EC2's words."));
    let error = create(&[&images, &refused], &with_alternatives(), false).await.unwrap_err();
    assert_eq!((error.code, error.fields.errors().len()), (Code::InvalidRequest, 0));
    // The first alternative has no subnet of its own, so the wrong subnet is the launch's.
    let full = without_capacity(&["c5.2xlarge"], "InsufficientInstanceCapacity").0;
    let refused = mock!(Client::run_instances).then_http_response(|| ec2_error(400, "InvalidSubnetID.NotFound", "no"));
    let error = create(&[&images, &full, &refused], &with_alternatives(), false).await.unwrap_err();
    assert_eq!(error.fields.errors()[0].field, "subnet_id");
}

#[tokio::test]
async fn an_instance_with_another_token_is_not_an_earlier_launch() {
    let caller = with_key(&json!({"name": "cml-1"}));
    let (images, other) = (images(IMAGE), found("running", "somebody-elses", ""));
    let token = caller.keyed_request.as_ref().unwrap().token(0, 0);
    let run = mock!(Client::run_instances)
        .match_requests(move |r| r.client_token() == Some(&token))
        .then_http_response(launched);
    let shown = mock!(Client::describe_instances)
        .match_requests(|r| r.instance_ids() == [ID])
        .then_http_response(|| testing::described("pending", true));
    let clients = testing::clients(&[&images, &shown, &other, &run]);
    assert!(done(create_instance(&clients, &region(), &with_alternatives(), &caller, NO_WAIT).await).created);
}

#[tokio::test]
async fn a_launch_is_answered_once_a_read_shows_it_as_ours() {
    let images = images(IMAGE);
    let run = mock!(Client::run_instances).then_http_response(launched);
    let reads = Mutex::new(0);
    let late = mock!(Client::describe_instances).then_http_response(move || {
        let mut reads = reads.lock().unwrap();
        *reads += 1;
        match *reads {
            1 => ec2_error(400, "InvalidInstanceID.NotFound", "EC2's words."),
            // Tags lag behind too.
            read => testing::described("pending", read > 2),
        }
    });
    let launched = done(create(&[&images, &run, &late], &wanted(), false).await);
    assert!(launched.created && launched.instance.managed);
    assert_eq!(launched.instance.private_ip.as_deref(), Some("10.0.0.4"), "from the read");
    assert_eq!(launched.instance.image_name.as_deref(), Some("cml-2.8.1-worker"));
    assert_eq!((run.num_calls(), late.num_calls()), (1, 3));
}

#[tokio::test]
async fn a_launch_is_not_lost_because_of_a_read() {
    let images = images(IMAGE);
    let run = mock!(Client::run_instances).then_http_response(launched);
    let denied = mock!(Client::describe_instances)
        .then_http_response(|| ec2_error(403, "UnauthorizedOperation", "You are not authorized."));
    let launched = done(create(&[&images, &run, &denied], &wanted(), false).await);
    assert_eq!((launched.instance.instance_id.as_str(), launched.instance.state.as_str()), (ID, "pending"));
    let warning = launched.warnings.last().unwrap();
    assert!(warning.contains("no read shows it") && warning.contains("ec2:DescribeInstances"), "{warning}");
    assert_eq!((run.num_calls(), denied.num_calls()), (1, 1));
}

#[tokio::test]
async fn a_retry_finds_the_first_launch_although_the_image_name_leads_elsewhere() {
    let caller = with_key(&json!({"name": "cml-1"}));
    let keyed_request = caller.keyed_request.clone().unwrap();
    let run = mock!(Client::run_instances)
        .then_http_response(|| ec2_error(400, "IdempotentParameterMismatch", "EC2's words."));
    // The first read lags behind the first launch.
    let reads = Mutex::new(
        ["somebody-elses", &keyed_request.token(0, 0)]
            .map(|token| launched_with("running", token, &keyed_request.fingerprint))
            .into_iter(),
    );
    let lagging =
        mock!(Client::describe_instances).then_http_response(move || xml(200, reads.lock().unwrap().next().unwrap()));
    let images = images(IMAGE);
    let clients = testing::clients(&[&images, &run, &lagging]);
    let again = done(create_instance(&clients, &region(), &with_alternatives(), &caller, NO_WAIT).await);
    assert_eq!((again.instance.instance_id.as_str(), again.created, run.num_calls()), (ID, false, 1));
}

#[tokio::test]
async fn a_full_fleet_launches_nothing() {
    let images = images(IMAGE);
    let one = mock!(Client::describe_instances).then_http_response(|| testing::described("running", true));
    let (_, run) = without_capacity(&[], "");
    let clients = testing::clients_with(&[&images, &one, &run], |config| config.max_workers = Some(1));
    let error =
        create_instance(&clients, &region(), &with_alternatives(), &Caller::default(), NO_WAIT).await.unwrap_err();
    assert_eq!((error.code, run.num_calls()), (Code::QuotaExceeded, 0));
    let clients = testing::clients_with(&[&images, &one, &run], |config| config.max_workers = Some(2));
    assert!(create_instance(&clients, &region(), &with_alternatives(), &Caller::default(), NO_WAIT).await.is_ok());
}

#[tokio::test]
async fn a_fleet_that_cannot_be_counted_launches_nothing() {
    let images = images(IMAGE);
    let uncounted = mock!(Client::describe_instances).then_http_response(|| ec2_error(500, "InternalError", "no"));
    let (_, run) = without_capacity(&[], "");
    let clients = testing::clients_with(&[&images, &uncounted, &run], |config| config.max_workers = Some(9));
    let error = create_instance(&clients, &region(), &wanted(), &Caller::default(), NO_WAIT).await.unwrap_err();
    assert_eq!((error.code, error.retryable, run.num_calls()), (Code::AwsError, true, 0));
}

#[tokio::test]
async fn a_root_volume_below_the_images_is_refused_before_the_launch() {
    let images = images(IMAGE);
    let mut wanted = wanted();
    wanted.launch.root_volume.size_gib = Some(31);
    let error = create(&[&images], &wanted, false).await.unwrap_err();
    assert_eq!(error.fields.errors()[0].field, "root_volume.size_gib");
}

#[tokio::test]
async fn a_launch_watched_until_it_runs_still_has_its_image_name() {
    let images = images(IMAGE);
    let run = mock!(Client::run_instances).then_http_response(launched);
    let running = mock!(Client::describe_instances).then_http_response(|| testing::described("running", true));
    let clients = testing::clients(&[&images, &run, &running]);
    let wait = WaitQuery { dry_run: false, wait: Some(UntilUp::Running) };
    let launched = done(create_instance(&clients, &region(), &wanted(), &Caller::default(), wait).await);
    let instance = &launched.instance;
    assert_eq!((instance.state.as_str(), instance.image_name.as_deref()), ("running", Some("cml-2.8.1-worker")));
    assert!(launched.created);
}

#[tokio::test]
async fn a_launch_with_wait_is_not_lost_when_a_read_fails() {
    let images = images(IMAGE);
    let run = mock!(Client::run_instances).then_http_response(launched);
    let wait = WaitQuery { dry_run: false, wait: Some(UntilUp::Running) };
    for code in ["UnauthorizedOperation", "RequestLimitExceeded"] {
        let read = mock!(Client::describe_instances).then_http_response(move || ec2_error(400, code, "EC2's words."));
        let clients = testing::clients(&[&images, &run, &read]);
        let answer = create_instance(&clients, &region(), &wanted(), &Caller::default(), wait).await.unwrap();
        let Mutation::Unfinished(launched) = answer else { panic!("{answer:?}") };
        assert_eq!((launched.instance.instance_id.as_str(), launched.created), (ID, true));
        assert!(launched.warnings.last().unwrap().contains("no read shows it yet"), "{:?}", launched.warnings);
    }
    let running = mock!(Client::describe_instances).then_http_response(|| testing::described("running", true));
    let denied = mock!(Client::describe_instance_status)
        .then_http_response(|| ec2_error(403, "UnauthorizedOperation", "You are not authorized."));
    let clients = testing::clients(&[&images, &run, &running, &denied]);
    let healthy = WaitQuery { dry_run: false, wait: Some(UntilUp::Healthy) };
    let answer = create_instance(&clients, &region(), &wanted(), &Caller::default(), healthy).await.unwrap();
    let Mutation::Unfinished(launched) = answer else { panic!("{answer:?}") };
    assert_eq!(launched.instance.state.as_str(), "running");
    let warning = launched.warnings.last().unwrap();
    assert!(warning.contains("cannot be read now") && warning.contains("ec2:DescribeInstanceStatus"), "{warning}");
    // A launch that EC2 takes back is an error.
    let gone = mock!(Client::describe_instances).then_http_response(|| testing::described("terminated", true));
    let clients = testing::clients(&[&images, &run, &gone]);
    let error = create_instance(&clients, &region(), &wanted(), &Caller::default(), wait).await.unwrap_err();
    assert_eq!(error.code, Code::IncorrectState);
    assert!(error.detail.contains(ID) && error.detail.contains("User initiated shutdown"), "{}", error.detail);
}

#[tokio::test]
async fn two_requests_with_one_key_are_not_mistaken_for_each_other() {
    let caller = with_key(&json!({"name": "cml-1"}));
    let keyed_request = caller.keyed_request.clone().unwrap();
    // EC2 can keep tokens per zone: here the same token launched in two zones, for two bodies.
    let other = launched_with("running", &keyed_request.token(0, 0), "other").replace(ID, "i-0aaaaaaaaaaaaaaa1");
    let ours = launched_with("running", &keyed_request.token(0, 0), &keyed_request.fingerprint);
    let (_, ours) = ours.split_once("<reservationSet>").unwrap();
    let both = other.replace("</reservationSet></DescribeInstancesResponse>", ours);
    let by_token = mock!(Client::describe_instances).then_http_response(move || xml(200, both.clone()));
    let clients = testing::clients(&[&by_token]);
    let again = done(create_instance(&clients, &region(), &with_alternatives(), &caller, NO_WAIT).await);
    assert_eq!((again.instance.instance_id.as_str(), again.created), (ID, false));
    assert!(!again.warnings.iter().any(|warning| warning.contains("also launched")), "{:?}", again.warnings);
}

#[tokio::test(start_paused = true)]
async fn a_token_without_a_launch_is_replaced_after_the_longest_read_lag() {
    let caller = with_key(&json!({"name": "cml-1"}));
    let keyed_request = caller.keyed_request.clone().unwrap();
    let (first, second) = (keyed_request.token(0, 0), keyed_request.token(0, 1));
    let bound = mock!(Client::run_instances)
        .match_requests(move |r| r.client_token() == Some(&first))
        .then_http_response(|| ec2_error(400, "IdempotentParameterMismatch", "EC2's words."));
    let free = mock!(Client::run_instances)
        .match_requests(move |r| r.client_token() == Some(&second))
        .then_http_response(launched);
    let nothing = mock!(Client::describe_instances)
        .match_requests(|r| r.instance_ids().is_empty())
        .then_http_response(|| xml(200, "<DescribeInstancesResponse><reservationSet/></DescribeInstancesResponse>"));
    let shown = mock!(Client::describe_instances)
        .match_requests(|r| r.instance_ids() == [ID])
        .then_http_response(|| testing::described("pending", true));
    let images = images(IMAGE);
    let clients = testing::clients(&[&images, &bound, &free, &nothing, &shown]);
    let begin = tokio::time::Instant::now();
    let launched = done(create_instance(&clients, &region(), &with_alternatives(), &caller, NO_WAIT).await);
    assert!(launched.created && begin.elapsed() >= crate::aws::launches::MOST_LAG, "{:?}", begin.elapsed());
    // With less time nobody can be sure that there was no launch.
    let deadline = SystemTime::now() + Duration::from_secs(10);
    let (region, wanted) = (region(), with_alternatives());
    let create = create_instance(&clients, &region, &wanted, &caller, NO_WAIT);
    let error = deadline::within(deadline, SystemTime::now(), create).await.unwrap_err();
    assert_eq!((error.code, error.retryable, free.num_calls()), (Code::IdempotencyMismatch, true, 1));
}

#[tokio::test]
async fn a_replay_of_a_worker_that_was_stopped_since_waits_for_nothing() {
    let caller = with_key(&json!({"name": "cml-1"}));
    let keyed_request = caller.keyed_request.clone().unwrap();
    for state in ["stopped", "stopping", "running"] {
        let earlier = found(state, &keyed_request.token(0, 0), &keyed_request.fingerprint);
        let query = WaitQuery { wait: Some(UntilUp::Running), dry_run: false };
        let clients = testing::clients(&[&earlier]);
        let again = done(create_instance(&clients, &region(), &with_alternatives(), &caller, query).await);
        assert_eq!((again.instance.state.as_str(), again.created, earlier.num_calls()), (state, false, 1));
    }
}

#[tokio::test]
async fn a_launch_answer_without_an_instance_is_not_retryable() {
    let images = images(IMAGE);
    let run = mock!(Client::run_instances)
        .then_http_response(|| xml(200, "<RunInstancesResponse><instancesSet/></RunInstancesResponse>"));
    let error = create(&[&images, &run], &wanted(), false).await.unwrap_err();
    assert_eq!((error.code, error.retryable, run.num_calls()), (Code::AwsError, false, 1));
    assert_eq!(error.detail, "EC2 accepted the launch but named no instance: list the instances before trying again");
}

#[tokio::test(start_paused = true)]
async fn a_replay_of_a_pending_worker_waits_until_it_runs() {
    let caller = with_key(&json!({"name": "cml-1"}));
    let keyed_request = caller.keyed_request.clone().unwrap();
    let shown = |state| launched_with(state, &keyed_request.token(0, 0), &keyed_request.fingerprint);
    let reads = one_after_the_other(vec![shown("pending"), shown("pending"), shown("running")]);
    let query = WaitQuery { wait: Some(UntilUp::Running), dry_run: false };
    let again = create_instance(&testing::clients(&[&reads]), &region(), &wanted(), &caller, query).await;
    assert_eq!((done(again).instance.state.as_str(), reads.num_calls()), ("running", 3));
}

#[tokio::test(start_paused = true)]
async fn a_launch_that_ec2_takes_back_while_it_is_waited_for_is_a_409() {
    let images = images(IMAGE);
    let run = mock!(Client::run_instances).then_http_response(launched);
    let reads = mock!(Client::describe_instances).then_http_response(|| testing::described("stopped", true));
    let query = WaitQuery { wait: Some(UntilUp::Running), dry_run: false };
    let clients = testing::clients(&[&images, &run, &reads]);
    let error = create_instance(&clients, &region(), &wanted(), &Caller::default(), query).await.unwrap_err();
    assert_eq!((error.code, reads.num_calls()), (Code::IncorrectState, 1));
}
