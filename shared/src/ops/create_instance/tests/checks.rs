//! What launches nothing: an image, type or volume that is refused, a full fleet, a dry run, and too little time.

use std::time::{Duration, SystemTime};

use super::*;
use crate::aws::deadline;
use crate::model::instance_type::InstanceType;

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
    assert!(error.detail.ends_with("none of these patterns matches t3.micro, t4g.nano"), "{}", error.detail);
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
