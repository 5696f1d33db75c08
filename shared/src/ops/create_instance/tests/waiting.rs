//! When a launch is answered: once a read shows it, once it is up if the caller waits for that, or once EC2 takes it back.

use super::*;

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
async fn a_replay_of_a_worker_that_was_stopped_since_waits_for_nothing() {
    let caller = with_key(&json!({"name": "cml-1"}));
    let keyed_request = caller.keyed_request.clone().unwrap();
    for state in ["stopped", "stopping", "running"] {
        let earlier = found(state, &keyed_request.token(0, 0), &keyed_request.fingerprint);
        let query = WaitQuery { wait: Some(UntilUp::Running), dry_run: false };
        let clients = testing::clients(&[&earlier, &images("")]);
        let again = done(create_instance(&clients, &region(), &with_alternatives(), &caller, query).await);
        assert_eq!((again.instance.state.as_str(), again.created, earlier.num_calls()), (state, false, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_replay_of_a_pending_worker_waits_until_it_runs() {
    let caller = with_key(&json!({"name": "cml-1"}));
    let keyed_request = caller.keyed_request.clone().unwrap();
    let shown = |state| launched_with(state, &keyed_request.token(0, 0), &keyed_request.fingerprint);
    let reads = one_after_the_other(vec![shown("pending"), shown("pending"), shown("running")]);
    let query = WaitQuery { wait: Some(UntilUp::Running), dry_run: false };
    let clients = testing::clients(&[&reads, &images("")]);
    let again = create_instance(&clients, &region(), &wanted(), &caller, query).await;
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
