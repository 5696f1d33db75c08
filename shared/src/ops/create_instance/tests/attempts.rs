//! What is tried in which order, what ends the trying, and which field an error names.

use super::*;
use crate::model::launch::MAX_ATTEMPTS;

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
    assert!(error.detail.contains(". Before that, these attempts failed: c5.2xlarge"), "{}", error.detail);
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
async fn a_launch_answer_without_an_instance_is_not_retryable() {
    let images = images(IMAGE);
    let run = mock!(Client::run_instances)
        .then_http_response(|| xml(200, "<RunInstancesResponse><instancesSet/></RunInstancesResponse>"));
    let error = create(&[&images, &run], &wanted(), false).await.unwrap_err();
    assert_eq!((error.code, error.retryable, run.num_calls()), (Code::AwsError, false, 1));
    assert_eq!(error.detail, "EC2 accepted the launch but named no instance: list the instances before trying again");
}
