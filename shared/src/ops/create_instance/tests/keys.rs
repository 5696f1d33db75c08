//! What an idempotency key finds of earlier launches, and what EC2's answers to its tokens mean.

use std::time::{Duration, SystemTime};

use aws_sdk_ec2::operation::describe_instances::DescribeInstancesInput;

use super::*;
use crate::aws::deadline;
use crate::config::Config;
use crate::model::launch::MAX_ATTEMPTS;

#[tokio::test]
async fn a_retry_finds_the_launch_of_any_attempt_and_launches_nothing() {
    let caller = with_key(&json!({"name": "cml-1"}));
    let keyed_request = caller.keyed_request.clone().unwrap();
    for attempt in 0..3 {
        let earlier = found("running", &keyed_request.token(attempt, 0), &keyed_request.fingerprint);
        // Image and fleet are looked at too and decide nothing: the image may be gone, and this launch may have filled the fleet.
        let (no_image, full) = (images(""), |config: &mut Config| config.max_workers = Some(1));
        let clients = testing::clients_with(&[&earlier, &no_image], full);
        let again = done(create_instance(&clients, &region(), &with_alternatives(), &caller, NO_WAIT).await);
        assert_eq!((again.instance.instance_id.as_str(), again.created), (ID, false));
    }
}

#[tokio::test]
async fn the_look_up_decides_before_the_fleet_and_the_fleet_before_the_image() {
    let caller = with_key(&json!({"name": "cml-1"}));
    let of_fleet = |r: &DescribeInstancesInput| r.filters()[0].name() != Some("client-token");
    let fleet = mock!(Client::describe_instances)
        .match_requests(of_fleet)
        .then_http_response(|| testing::described("running", true));
    let nothing = "<DescribeInstancesResponse><reservationSet/></DescribeInstancesResponse>";
    let look_up = |status, answer: String| {
        mock!(Client::describe_instances)
            .match_requests(move |r| !of_fleet(r))
            .then_http_response(move || xml(status, answer.clone()))
    };
    let denied = "<Response><Errors><Error><Code>UnauthorizedOperation</Code></Error></Errors></Response>";
    let (denied, found_none) = (look_up(403, denied.to_owned()), look_up(200, nothing.to_owned()));
    for (look_up, most, code) in [
        (&denied, 1, Code::MissingPermission),
        (&found_none, 1, Code::QuotaExceeded),
        (&found_none, 2, Code::ImageNotFound),
    ] {
        let rules = [look_up, &fleet, &images("")];
        let clients = testing::clients_with(&rules, |config| config.max_workers = Some(most));
        let refused = create_instance(&clients, &region(), &wanted(), &caller, NO_WAIT).await.unwrap_err();
        assert_eq!(refused.code, code, "{}", refused.detail);
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
        let clients = testing::clients(&[&earlier, &images("")]);
        let error = create_instance(&clients, &region(), &with_alternatives(), &caller, NO_WAIT).await.unwrap_err();
        assert_eq!(error.code, Code::IdempotencyMismatch);
        assert!(error.detail.contains(ID));
    }
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
        let clients = testing::clients(&[&shown, &images("")]);
        let again = create_instance(&clients, &region(), &with_alternatives(), &caller, NO_WAIT).await;
        assert_eq!((again.err().map(|error| error.code), shown.num_calls()), (code, 3));
    }
    // If EC2 never shows the tags, the caller may ask again; nothing was launched.
    let shown = one_after_the_other(vec![bare]);
    let deadline = SystemTime::now() + Duration::from_secs(3);
    let (clients, region, wanted) = (testing::clients(&[&shown, &images("")]), region(), with_alternatives());
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
        (tagged("another's"), 90, Err(false)),
        (own.clone(), 90, Ok(false)),
        (own, 0, Ok(true)),
        // Nobody can say yet whose instance it is.
        (String::new(), 90, Err(true)),
    ] {
        let shown = tags.clone();
        // By the time of the answer: a busy machine may take seconds to get there.
        let document = move || {
            format!(
                "<RunInstancesResponse><instancesSet><item><instanceId>{ID}</instanceId><instanceState><name>pending</name>\
                 </instanceState><launchTime>{}</launchTime>{shown}</item></instancesSet></RunInstancesResponse>",
                launched_at(seconds)
            )
        };
        let run = mock!(Client::run_instances).then_http_response(move || xml(200, document()));
        let clients = testing::clients(&[&images, &run, &nothing]);
        let (region, wanted) = (region(), wanted());
        let launching = Launching::new(&clients, &region, &wanted.launch, &caller).unwrap();
        assert!(launching.earlier().await.unwrap().is_none());
        let image = launching.image_if_room(&wanted.image).await.unwrap();
        let answer = launching.launch(&image).await.map(|launched| launched.created).map_err(|error| {
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
async fn two_requests_with_one_key_are_not_mistaken_for_each_other() {
    let caller = with_key(&json!({"name": "cml-1"}));
    let keyed_request = caller.keyed_request.clone().unwrap();
    // EC2 can keep tokens per zone: here the same token launched in two zones, for two bodies.
    let other = launched_with("running", &keyed_request.token(0, 0), "other").replace(ID, "i-0aaaaaaaaaaaaaaa1");
    let ours = launched_with("running", &keyed_request.token(0, 0), &keyed_request.fingerprint);
    let (_, ours) = ours.split_once("<reservationSet>").unwrap();
    let both = other.replace("</reservationSet></DescribeInstancesResponse>", ours);
    let by_token = mock!(Client::describe_instances).then_http_response(move || xml(200, both.clone()));
    let clients = testing::clients(&[&by_token, &images("")]);
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
