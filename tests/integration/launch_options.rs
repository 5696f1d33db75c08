//! Each field of create-instance, as EC2 receives it. The table of `docs/API.md` has the same fields.

use std::collections::BTreeSet;
use std::fs;

use serde_json::{Value, json};
use tests::stack::repository;
use tests::stub::{Recorded, Reply, Times};

use crate::world::{REGION, assert_ok, launch_of, unique, world};

/// A field with a value, and the parameters of RunInstances that it becomes.
type LaunchOption = (&'static str, Value, Vec<(&'static str, &'static str)>);

fn options() -> Vec<LaunchOption> {
    let info = &world().stack.info;
    vec![
        ("image_id", json!(info.image_id), vec![("ImageId", &info.image_id)]),
        ("image_name", json!(info.image_name), vec![("ImageId", &info.image_id)]),
        ("instance_type", json!("c5.4xlarge"), vec![("InstanceType", "c5.4xlarge")]),
        ("subnet_id", json!(info.subnet_id), vec![("SubnetId", &info.subnet_id)]),
        ("security_group_ids", json!([info.security_group_id]), vec![("SecurityGroupId.1", &info.security_group_id)]),
        ("key_name", json!(info.key_name), vec![("KeyName", &info.key_name)]),
        (
            "tags",
            json!({"Lab": "a"}),
            vec![("TagSpecification.1.Tag.4.Key", "Lab"), ("TagSpecification.1.Tag.4.Value", "a")],
        ),
        ("iam_instance_profile", json!("CMLWorker"), vec![("IamInstanceProfile.Name", "CMLWorker")]),
        (
            "iam_instance_profile",
            json!("arn:aws:iam::123456789012:instance-profile/CMLWorker"),
            vec![("IamInstanceProfile.Arn", "arn:aws:iam::123456789012:instance-profile/CMLWorker")],
        ),
        ("user_data", json!("#cloud-config"), vec![("UserData", "I2Nsb3VkLWNvbmZpZw==")]),
        ("user_data_base64", json!("H4sIAAAAAAAA/w=="), vec![("UserData", "H4sIAAAAAAAA/w==")]),
        (
            "root_volume",
            json!({"size_gib": 64, "type": "gp3", "iops": 4000, "throughput": 250, "kms_key_id": "alias/cml", "delete_on_termination": false}),
            vec![
                ("BlockDeviceMapping.1.Ebs.VolumeSize", "64"),
                ("BlockDeviceMapping.1.Ebs.VolumeType", "gp3"),
                ("BlockDeviceMapping.1.Ebs.Iops", "4000"),
                ("BlockDeviceMapping.1.Ebs.Throughput", "250"),
                ("BlockDeviceMapping.1.Ebs.KmsKeyId", "alias/cml"),
                ("BlockDeviceMapping.1.Ebs.DeleteOnTermination", "false"),
                ("BlockDeviceMapping.1.Ebs.Encrypted", "true"),
            ],
        ),
        ("root_volume", json!({"encrypted": false}), vec![("BlockDeviceMapping.1.Ebs.Encrypted", "false")]),
        (
            "extra_volumes",
            json!([{
                "size_gib": 100, "type": "io2", "iops": 5000, "kms_key_id": "alias/cml", "delete_on_termination": false,
            }]),
            vec![
                ("BlockDeviceMapping.2.Ebs.VolumeType", "io2"),
                ("BlockDeviceMapping.2.Ebs.Iops", "5000"),
                ("BlockDeviceMapping.2.Ebs.KmsKeyId", "alias/cml"),
                ("BlockDeviceMapping.2.Ebs.DeleteOnTermination", "false"),
            ],
        ),
        (
            "extra_volumes",
            json!([{"size_gib": 100}, {"size_gib": 8, "type": "gp3", "throughput": 250, "encrypted": false}]),
            vec![
                ("BlockDeviceMapping.2.DeviceName", "/dev/sdf"),
                ("BlockDeviceMapping.2.Ebs.VolumeSize", "100"),
                ("BlockDeviceMapping.2.Ebs.VolumeType", "gp3"),
                ("BlockDeviceMapping.2.Ebs.Encrypted", "true"),
                ("BlockDeviceMapping.2.Ebs.DeleteOnTermination", "true"),
                ("BlockDeviceMapping.3.Ebs.Throughput", "250"),
                ("BlockDeviceMapping.3.DeviceName", "/dev/sdg"),
                ("BlockDeviceMapping.3.Ebs.Encrypted", "false"),
            ],
        ),
        (
            "extra_volumes",
            json!([
                {"size_gib": 500, "type": "gp2"}, {"size_gib": 500, "type": "io1", "iops": 3000}, {"size_gib": 125, "type": "st1"},
                {"size_gib": 125, "type": "sc1"}, {"size_gib": 8, "type": "standard"},
            ]),
            vec![
                ("BlockDeviceMapping.2.Ebs.VolumeType", "gp2"),
                ("BlockDeviceMapping.3.Ebs.VolumeType", "io1"),
                ("BlockDeviceMapping.4.Ebs.VolumeType", "st1"),
                ("BlockDeviceMapping.5.Ebs.VolumeType", "sc1"),
                ("BlockDeviceMapping.6.Ebs.VolumeType", "standard"),
            ],
        ),
        (
            "associate_public_ip",
            json!(false),
            vec![("NetworkInterface.1.AssociatePublicIpAddress", "false"), ("NetworkInterface.1.DeviceIndex", "0")],
        ),
        ("private_ip", json!("172.31.0.77"), vec![("PrivateIpAddress", "172.31.0.77")]),
        (
            "metadata_hop_limit",
            json!(1),
            vec![("MetadataOptions.HttpPutResponseHopLimit", "1"), ("MetadataOptions.HttpTokens", "required")],
        ),
        ("detailed_monitoring", json!(true), vec![("Monitoring.Enabled", "true")]),
        ("termination_protection", json!(true), vec![("DisableApiTermination", "true")]),
        ("shutdown_behavior", json!("terminate"), vec![("InstanceInitiatedShutdownBehavior", "terminate")]),
        ("shutdown_behavior", json!("stop"), vec![("InstanceInitiatedShutdownBehavior", "stop")]),
        (
            "placement",
            json!({"availability_zone": "us-east-1a", "group": "near", "tenancy": "dedicated"}),
            vec![
                ("Placement.AvailabilityZone", "us-east-1a"),
                ("Placement.GroupName", "near"),
                ("Placement.Tenancy", "dedicated"),
            ],
        ),
        (
            "placement",
            json!({"host_id": "h-12345678"}),
            vec![("Placement.HostId", "h-12345678"), ("Placement.Tenancy", "host")],
        ),
        (
            "cpu",
            json!({"core_count": 2, "threads_per_core": 1}),
            vec![("CpuOptions.CoreCount", "2"), ("CpuOptions.ThreadsPerCore", "1")],
        ),
        (
            "spot",
            json!({"max_price": "0.25"}),
            vec![
                ("InstanceMarketOptions.MarketType", "spot"),
                ("InstanceMarketOptions.SpotOptions.MaxPrice", "0.25"),
                ("InstanceMarketOptions.SpotOptions.SpotInstanceType", "one-time"),
                ("InstanceMarketOptions.SpotOptions.InstanceInterruptionBehavior", "terminate"),
                ("TagSpecification.4.ResourceType", "spot-instances-request"),
            ],
        ),
        (
            "capacity_reservation",
            json!({"id": "cr-12345678"}),
            vec![("CapacityReservationSpecification.CapacityReservationTarget.CapacityReservationId", "cr-12345678")],
        ),
        (
            "capacity_reservation",
            json!({"preference": "none"}),
            vec![("CapacityReservationSpecification.CapacityReservationPreference", "none")],
        ),
    ]
}

/// RunInstances as EC2 received it, as a dry run, for a launch with these members.
async fn received(members: &[(&str, Value)]) -> Recorded {
    let name = unique("option");
    let mut body = world().launch_body(&name);
    for (field, value) in members {
        body[field] = value.clone();
    }
    if body.get("image_id").is_some() {
        body.as_object_mut().unwrap().remove("image_name");
    }
    let path = format!("/regions/{REGION}/instances?dry_run=true");
    let answer = world().api.request("POST", &path, Some(body)).await;
    // What moto does not know of it refuses; what was sent is what counts here. Our own refusals name a field.
    assert!(answer.json.get("field").is_none() || answer.json.get("aws_code").is_some(), "{}", answer.text);
    world().ec2_stub.requests_matching(launch_of(&name)).remove(0)
}

#[tokio::test]
async fn each_field_reaches_ec2() {
    for (field, value, expected) in options() {
        let sent = received(&[(field, value)]).await;
        for (parameter, value) in expected {
            assert_eq!(sent.param(parameter), Some(value), "{field}: {parameter} in {:?}", sent.params);
        }
    }
}

#[tokio::test]
async fn nested_virtualization_reaches_ec2_for_a_type_that_has_it() {
    let sent =
        received(&[("instance_type", json!("c8i.2xlarge")), ("cpu", json!({"nested_virtualization": true}))]).await;
    assert_eq!(sent.param("CpuOptions.NestedVirtualization"), Some("enabled"));
}

#[tokio::test]
async fn a_public_address_moves_subnet_and_groups_to_the_interface() {
    let sent = received(&[("associate_public_ip", json!(true)), ("private_ip", json!("172.31.0.78"))]).await;
    let info = &world().stack.info;
    assert_eq!(sent.param("NetworkInterface.1.PrivateIpAddress"), Some("172.31.0.78"));
    assert_eq!(sent.param("NetworkInterface.1.SubnetId"), Some(info.subnet_id.as_str()));
    assert_eq!(sent.param("NetworkInterface.1.SecurityGroupId.1"), Some(info.security_group_id.as_str()));
    let beside = ["SubnetId", "SecurityGroupId.1", "PrivateIpAddress"].map(|name| sent.param(name));
    assert_eq!(beside, [None; 3]);
}

#[tokio::test]
async fn a_launch_without_capacity_tries_the_alternatives_with_tokens_of_their_own() {
    let name = unique("option");
    let mut body = world().launch_body(&name);
    body["alternatives"] = json!([{"instance_type": "c5.4xlarge"}]);
    let of_worker = launch_of(&name);
    let full = Reply::ec2_error(500, "InsufficientInstanceCapacity", "We currently do not have sufficient capacity.");
    let is_first = of_worker.clone();
    let script = world().ec2_stub.script(
        move |r: &Recorded| is_first(r) && r.param("InstanceType") == Some("c5.2xlarge"),
        Times::Always,
        full,
    );
    let api = world().api.with_header("Idempotency-Key", &name);
    let path = format!("/regions/{REGION}/instances");
    let first = api.request("POST", &path, Some(body.clone())).await;
    assert_ok(&first, 201);
    assert_eq!(
        (&first.json["instance_type"], &first.json["failed_attempts"][0]["instance_type"]),
        (&json!("c5.4xlarge"), &json!("c5.2xlarge"))
    );
    assert_eq!(script.hits(), 1, "what has no capacity is not sent again");
    let sent = world().ec2_stub.requests_matching(of_worker.clone());
    let token = |kind: &str| {
        sent.iter().find(|r| r.param("InstanceType") == Some(kind)).unwrap().param("ClientToken").unwrap().to_owned()
    };
    assert_ne!(token("c5.2xlarge"), token("c5.4xlarge"));

    // There is capacity again: a retry still finds what the alternative launched.
    drop(script);
    let again = api.request("POST", &path, Some(body)).await;
    assert_eq!((again.status, &again.json["instance_id"]), (200, &first.json["instance_id"]));
    assert_eq!(world().ec2_stub.requests_matching(of_worker).len(), sent.len());
}

#[tokio::test]
async fn spot_without_capacity_falls_back_to_on_demand_when_told_to() {
    let name = unique("option");
    let mut body = world().launch_body(&name);
    body["spot"] = json!({});
    body["on_demand_fallback"] = true.into();
    let of_worker = launch_of(&name);
    let is_spot = |r: &Recorded| r.param("InstanceMarketOptions.MarketType") == Some("spot");
    let of_spot = of_worker.clone();
    let full = Reply::ec2_error(400, "SpotMaxPriceTooLow", "Your Spot request price is lower than required.");
    let script = world().ec2_stub.script(move |r: &Recorded| of_spot(r) && is_spot(r), Times::Always, full);
    let answer = world().api.request("POST", &format!("/regions/{REGION}/instances"), Some(body)).await;
    assert_ok(&answer, 201);
    assert_eq!(answer.json["failed_attempts"][0]["lifecycle"], "spot");
    let sent = world().ec2_stub.requests_matching(of_worker);
    assert_eq!(sent.iter().map(is_spot).collect::<Vec<_>>(), [true, false]);
    // On-demand there is no request to be tagged.
    let fourth = sent.iter().map(|launch| launch.param("TagSpecification.4.ResourceType"));
    assert_eq!(fourth.collect::<Vec<_>>(), [Some("spot-instances-request"), None]);
    assert_eq!(script.hits(), 1);
}

/// Fields whose tests are not a row of [`options`]: the name is in the record of every launch, and the last two above.
const ELSEWHERE: [&str; 3] = ["name", "alternatives", "on_demand_fallback"];

#[test]
fn each_launch_field_has_a_documented_row_and_a_test() {
    let api = fs::read_to_string(repository().join("docs/API.md")).unwrap();
    let (_, table) = api.split_once("| field | type and default | permission | peers |").unwrap();
    let (table, _) = table.split_once("\n\n").unwrap();
    let rows = table.lines().skip(2).flat_map(|row| row.split('|').nth(1).unwrap().split(','));
    let documented: BTreeSet<String> = rows.map(|field| field.trim().trim_matches('`').to_owned()).collect();
    let tested = options().into_iter().map(|(field, ..)| field).chain(ELSEWHERE);
    assert_eq!(documented, tested.map(str::to_owned).collect());
}
