use aws_sdk_ec2::Client;
use aws_sdk_ec2::operation::run_instances::RunInstancesInput;
use aws_smithy_mocks::{Rule, mock};

use super::*;
use crate::testing::{self, ID, ec2_error, region, xml};

fn read(json: serde_json::Value) -> Result<CreateInstance, Invalid> {
    deserr::deserialize(json)
}

fn wanted() -> CreateInstance {
    read(serde_json::json!({
        "name": "cml-1", "image_name": "cml-2.8.1-worker", "instance_type": "c5.2xlarge", "subnet_id": "subnet-0123456789abcdef0",
        "security_group_ids": ["sg-0123456789abcdef0"], "key_name": "cml-workers", "tags": {"Lab": "a"}, "detailed_monitoring": true,
    }))
    .unwrap()
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

/// Whether the launch is tagged on each resource, on IMDSv2 only, encrypted, and all that the caller asked for.
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
    let device = &r.block_device_mappings()[0];
    kinds == [ResourceType::Instance, ResourceType::Volume, ResourceType::NetworkInterface]
        && tagged
        && imds
        && (device.device_name(), device.ebs().and_then(EbsBlockDevice::encrypted)) == (Some("/dev/sda1"), Some(true))
        && device.ebs().and_then(EbsBlockDevice::volume_size) == Some(32)
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
    let clients = testing::clients(&[&images, &run]);
    let Mutation::Done(launched) = create_instance(&clients, &region(), &wanted(), false).await.unwrap() else {
        panic!()
    };
    assert_eq!(launched.instance.instance_id, ID);
    assert_eq!(launched.instance.image_name.as_deref(), Some("cml-2.8.1-worker"));
    assert!(launched.instance.managed);
    assert_eq!(run.num_calls(), 1);
}

#[tokio::test]
async fn a_name_that_no_image_has_launches_nothing() {
    let images = images("<item><imageId>ami-0bbbbbbbbbbbbbbb0</imageId><name>cml-2.8.1-workers</name></item>");
    let run = mock!(Client::run_instances).then_http_response(launched);
    let error = create_instance(&testing::clients(&[&images, &run]), &region(), &wanted(), false).await.unwrap_err();
    assert_eq!((error.code, run.num_calls()), (Code::ImageNotFound, 0));
}

#[tokio::test]
async fn a_type_that_is_not_allowed_never_reaches_ec2() {
    let images = images(IMAGE);
    let mut wanted = wanted();
    wanted.launch.instance_type = InstanceType::try_from("t3.micro".to_owned()).unwrap();
    let error = create_instance(&testing::clients(&[&images]), &region(), &wanted, true).await.unwrap_err();
    assert_eq!((error.code, images.num_calls()), (Code::InstanceTypeNotAllowed, 0));
}

#[tokio::test]
async fn a_dry_run_asks_and_launches_nothing() {
    let images = images(IMAGE);
    let run = mock!(Client::run_instances).match_requests(|r| r.dry_run() == Some(true)).then_http_response(|| {
        ec2_error(412, "DryRunOperation", "Request would have succeeded, but DryRun flag is set.")
    });
    let answer = create_instance(&testing::clients(&[&images, &run]), &region(), &wanted(), true).await.unwrap();
    assert_eq!(serde_json::to_value(answer).unwrap(), serde_json::json!({"dry_run": true, "permitted": true}));
}

#[test]
fn all_bad_fields_are_named_at_once() {
    let refused = read(serde_json::json!({
        "image_id": "ami-1", "instance_type": 5, "subnet_id": "vpc-1", "security_group_ids": ["sg-12345678", "x"], "key_name": "",
        "tags": {"Name": "twice"}, "detailed_monitoring": "yes", "colour": "red",
    }));
    let mut fields: Vec<_> = refused.unwrap_err().errors().iter().map(|error| error.field.clone()).collect();
    fields.sort();
    assert_eq!(
        fields,
        [
            "colour",
            "detailed_monitoring",
            "image_id",
            "instance_type",
            "key_name",
            "name",
            "security_group_ids[1]",
            "subnet_id",
            "tags"
        ]
    );
}

#[test]
fn exactly_one_image_is_named() {
    let image = |json: serde_json::Value| {
        let mut body = serde_json::json!({"name": "a", "instance_type": "c5.large"});
        body.as_object_mut().unwrap().extend(json.as_object().unwrap().clone());
        read(body).map(|create| create.image).map_err(|invalid| invalid.errors()[0].field.clone())
    };
    assert_eq!(image(serde_json::json!({})), Err("image_id".to_owned()));
    assert_eq!(
        image(serde_json::json!({"image_id": "ami-12345678", "image_name": "cml"})),
        Err("image_name".to_owned())
    );
    assert!(matches!(image(serde_json::json!({"image_id": "ami-12345678"})), Ok(ImageChoice::Id(_))));
    assert!(matches!(
        image(serde_json::json!({"image_name": "cml-worker", "image_id": null})),
        Ok(ImageChoice::Name(_))
    ));
    assert_eq!(image(serde_json::json!({"image_name": "cml-*"})), Err("image_name".to_owned()));
}
