//! What RunInstances is sent: all that the caller asked for, the image by its name, the volumes and the tags.

use aws_sdk_ec2::types::{EbsBlockDevice, HttpTokensState, ResourceType};

use super::*;
use crate::model::tags::tag;

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
