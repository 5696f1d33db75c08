//! What a sweep publishes, and what it remembers of that.

use std::sync::{Arc, Mutex};

use super::*;

#[tokio::test]
async fn ec2s_event_about_a_worker_is_passed_on() {
    let event = |state: &str| {
        json!({
            "source": "aws.ec2", "detail-type": "EC2 Instance State-change Notification", "region": "us-east-1",
            "detail": {"instance-id": ID, "state": state},
        })
    };
    let sent = mock!(aws_sdk_eventbridge::Client::put_events)
        .match_requests(|r| {
            let entry = &r.entries()[0];
            let detail: Value = serde_json::from_str(entry.detail().unwrap()).unwrap();
            entry.source() == Some("cml.workers")
                && (&detail["change"], &detail["to"], &detail["instance_id"])
                    == (&"state".into(), &"stopped".into(), &ID.into())
        })
        .then_http_response(|| {
            let body = json!({"FailedEntryCount": 0, "Entries": [{"EventId": "1"}]});
            HttpResponse::new(200.try_into().unwrap(), SdkBody::from(body.to_string()))
        });
    for (managed, published) in [(true, 1), (false, 0)] {
        let read = mock!(Client::describe_instances).then_http_response(move || testing::described("stopped", managed));
        let before = sent.num_calls();
        let report = handle(&sweeper(&[&read, &sent], Rules::default()), &event("stopped")).await.unwrap();
        assert_eq!((report.regions[0].events, sent.num_calls() - before), (published, published));
    }
    let missing = mock!(Client::describe_instances)
        .then_http_response(|| ec2_error(400, "InvalidInstanceID.NotFound", "EC2's words."));
    let report = handle(&sweeper(&[&missing, &sent], Rules::default()), &event("terminated")).await.unwrap();
    assert_eq!(report.regions[0].events, 0);
}

#[tokio::test]
async fn a_change_that_eventbridge_refuses_is_not_remembered() {
    let retired = mock!(Client::describe_instance_status).then_http_response(|| {
        let status = format!(
            "<item><instanceId>{ID}</instanceId><eventsSet><item><code>instance-retirement</code></item></eventsSet></item>"
        );
        xml(
            200,
            format!("<DescribeInstanceStatusResponse><instanceStatusSet>{status}</instanceStatusSet></DescribeInstanceStatusResponse>"),
        )
    });
    for (refused, events) in [(false, 1), (true, 0)] {
        let [all, _] = shown(vec![seen()], vec![]);
        let put = mock!(aws_sdk_eventbridge::Client::put_events).then_http_response(move || {
            let entry = if refused {
                json!({"ErrorCode": "InternalFailure", "ErrorMessage": "no"})
            } else {
                json!({"EventId": "1"})
            };
            let body = json!({"FailedEntryCount": u8::from(refused), "Entries": [entry]});
            HttpResponse::new(200.try_into().unwrap(), SdkBody::from(body.to_string()))
        });
        let create = mock!(Client::create_tags).then_http_response(|| tags_changed("CreateTags"));
        let report = sweeper(&[&all, &retired, &create, &put], Rules::default()).sweep_workers().await;
        let region = &report.regions[0];
        assert_eq!(
            (region.events, create.num_calls(), region.failures.len()),
            (events, events, 1 - events),
            "{region:?}"
        );
    }
}

/// A fleet of stopped workers with these ids, of which nothing is remembered.
fn stopped(ids: &[String]) -> Rule {
    let item =
        |id| format!("<item><instanceId>{id}</instanceId><instanceState><name>stopped</name></instanceState></item>");
    let items: String = ids.iter().map(item).collect();
    let instances = format!("<reservationSet><item><instancesSet>{items}</instancesSet></item></reservationSet>");
    mock!(Client::describe_instances).then_http_response(move || {
        xml(200, format!("<DescribeInstancesResponse>{instances}</DescribeInstancesResponse>"))
    })
}

#[tokio::test]
async fn one_call_remembers_all_workers_and_one_that_is_gone_or_not_ours_costs_the_others_nothing() {
    const OTHER: &str = "i-0fedcba9876543210";
    let gone = ec2_error(400, "InvalidInstanceID.NotFound", &format!("The instance ID '{OTHER}' does not exist"));
    let denied = |id: &str| {
        let message = format!(
            "You are not authorized to perform this operation. User: arn:aws:sts::123456789012:assumed-role/a/b is not authorized \
             to perform: ec2:CreateTags on resource: arn:aws:ec2:us-east-1:123456789012:instance/{id} because no identity-based \
             policy allows the ec2:CreateTags action"
        );
        ec2_error(403, "UnauthorizedOperation", &message)
    };
    // What EC2 answers about both, and about the one alone; of which that fails; and how often the one is sent alone.
    let cases = [
        (tags_changed("CreateTags"), tags_changed("CreateTags"), vec![], 0),
        (gone, tags_changed("CreateTags"), vec![OTHER], 1),
        (denied(OTHER), tags_changed("CreateTags"), vec![OTHER], 1),
        (denied(OTHER), denied(ID), vec![ID, OTHER], 1),
        (ec2_error(403, "UnauthorizedOperation", "No."), tags_changed("CreateTags"), vec![ID, OTHER], 0),
    ];
    for (of_both, of_one, failed, again) in cases {
        let of_both = Mutex::new(Some(of_both));
        let of_one = Mutex::new(Some(of_one));
        let all = stopped(&[ID, OTHER].map(str::to_owned));
        let both = mock!(Client::create_tags)
            .match_requests(|r| r.resources() == [ID, OTHER])
            .then_http_response(move || of_both.lock().unwrap().take().unwrap());
        let one = mock!(Client::create_tags)
            .match_requests(|r| r.resources() == [ID])
            .then_http_response(move || of_one.lock().unwrap().take().unwrap());
        let report = sweeper(&[&all, &both, &one], Rules::default()).sweep_workers().await;
        let failures: Vec<&str> =
            report.regions[0].failures.iter().filter_map(|one| one.instance_id.as_deref()).collect();
        assert_eq!((failures, both.num_calls(), one.num_calls()), (failed, 1, again));
    }
}

#[tokio::test]
async fn what_was_published_is_remembered_before_much_more_is_published() {
    let ids: Vec<String> = (0..150).map(|n| format!("i-{n:017x}")).collect();
    let all = stopped(&ids);
    let calls = Arc::new(Mutex::new(Vec::new()));
    let (published, remembered) = (calls.clone(), calls.clone());
    let put = mock!(aws_sdk_eventbridge::Client::put_events).then_http_response(move || {
        published.lock().unwrap().push("event");
        HttpResponse::new(200.try_into().unwrap(), SdkBody::from(json!({"Entries": [{"EventId": "1"}]}).to_string()))
    });
    let create = mock!(Client::create_tags).then_http_response(move || {
        remembered.lock().unwrap().push("tag");
        tags_changed("CreateTags")
    });
    // Of another region's workers EC2 tells nothing, so that the sweep tells their states.
    let rules = [&all, &put, &create];
    let clients = testing::clients_with(&rules, |config| config.region = "us-west-2".to_owned().try_into().unwrap());
    let bus = Bus::of(mock_client!(aws_sdk_eventbridge, RuleMode::MatchAny, &rules));
    let report = Sweeper { clients, bus }.sweep_workers().await;
    assert_eq!((report.regions[0].events, report.regions[0].failures.len()), (150, 0));
    let calls = calls.lock().unwrap();
    assert_eq!(calls.chunk_by(|a, b| a == b).map(<[_]>::len).collect::<Vec<_>>(), [100, 1, 50, 1], "{calls:?}");
}
