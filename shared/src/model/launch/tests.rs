use serde_json::json;

use super::*;
use crate::model::volume::MAX_EXTRA_VOLUMES;

fn read(json: Value) -> Result<CreateInstance, Invalid> {
    deserr::deserialize(json)
}

/// The bad fields of a minimal launch with these members.
fn refused(members: Value) -> Vec<String> {
    let mut body = json!({"name": "a", "image_id": "ami-12345678", "instance_type": "c5.2xlarge"});
    body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    let mut fields: Vec<_> = match read(body) {
        Ok(_) => Vec::new(),
        Err(invalid) => invalid.errors().iter().map(|error| error.field.clone()).collect(),
    };
    fields.sort();
    fields
}

#[test]
fn all_bad_fields_are_named_at_once() {
    let refused = read(json!({
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
            "tags.Name"
        ]
    );
}

#[test]
fn exactly_one_image_is_named() {
    let image = |json: Value| {
        let mut body = json!({"name": "a", "instance_type": "c5.large"});
        body.as_object_mut().unwrap().extend(json.as_object().unwrap().clone());
        read(body).map(|create| create.image).map_err(|invalid| invalid.errors()[0].field.clone())
    };
    assert_eq!(image(json!({})), Err("image_id".to_owned()));
    assert_eq!(image(json!({"image_id": "ami-12345678", "image_name": "cml"})), Err("image_name".to_owned()));
    assert!(matches!(image(json!({"image_id": "ami-12345678"})), Ok(ImageChoice::Id(_))));
    assert!(matches!(image(json!({"image_name": "cml-worker", "image_id": null})), Ok(ImageChoice::Name(_))));
    assert_eq!(image(json!({"image_name": "cml-*"})), Err("image_name".to_owned()));
}

#[test]
fn conflicting_fields_are_named_together_with_malformed_fields() {
    let members = json!({
        "subnet_id": "x", "on_demand_fallback": true, "cpu": {"nested_virtualization": true, "threads_per_core": 3},
        "root_volume": {"iops": 5, "throughput": 1, "kms_key_id": "k", "encrypted": false}, "extra_volumes": [{}, {"size_gib": 0}],
    });
    assert_eq!(
        refused(members),
        [
            "cpu.core_count",
            "cpu.nested_virtualization",
            "cpu.threads_per_core",
            "extra_volumes[0].size_gib",
            "extra_volumes[1].size_gib",
            "on_demand_fallback",
            "root_volume.iops",
            "root_volume.kms_key_id",
            "root_volume.throughput",
            "subnet_id",
        ]
    );
}

#[test]
fn one_bad_member_does_not_hide_another_in_the_same_object() {
    for (members, fields) in [
        (json!({"cpu": {"core_count": 0, "threads_per_core": 3}}), &["cpu.core_count", "cpu.threads_per_core"][..]),
        (json!({"cpu": {"core_count": "x", "cache": 1}}), &["cpu.cache", "cpu.core_count", "cpu.threads_per_core"]),
        (json!({"extra_volumes": [{"type": "io2"}]}), &["extra_volumes[0].iops", "extra_volumes[0].size_gib"]),
        (
            json!({"root_volume": {"size_gib": "x", "throughput": 250}}),
            &["root_volume.size_gib", "root_volume.throughput"],
        ),
        (json!({"tags": {"Name": "a", "aws:x": "b"}}), &["tags.Name", "tags.aws:x"]),
        (
            json!({"alternatives": [{}, {}, {}, {}, {}, {"subnet_id": "x"}]}),
            &["alternatives", "alternatives[5].subnet_id"],
        ),
        (
            json!({"placement": {"host_id": "h-12345678", "tenancy": "dedicated", "group": ""}}),
            &["placement.group", "placement.tenancy"],
        ),
        (
            json!({"capacity_reservation": {"id": "x", "preference": "open"}}),
            &["capacity_reservation", "capacity_reservation.id"],
        ),
    ] {
        assert_eq!(refused(members), fields);
    }
}

#[test]
fn ec2_takes_cores_and_threads_together_and_neither_of_a_metal_type() {
    let counts = json!({"core_count": 2, "threads_per_core": 1});
    assert!(refused(json!({"cpu": counts})).is_empty());
    assert_eq!(refused(json!({"cpu": {"core_count": 2}})), ["cpu.threads_per_core"]);
    assert_eq!(refused(json!({"cpu": {"threads_per_core": 1}})), ["cpu.core_count"]);
    assert_eq!(refused(json!({"cpu": counts, "instance_type": "m5zn.metal"})), ["cpu.core_count"]);
    let alternatives = json!([{"instance_type": "c5.4xlarge"}, {"instance_type": "c5.metal"}]);
    assert_eq!(refused(json!({"cpu": counts, "alternatives": alternatives})), ["alternatives[1].instance_type"]);
}

#[test]
fn an_alternative_that_contradicts_its_launch_is_refused() {
    let (other_type, other_subnet) = ("alternatives[0].instance_type", "alternatives[0].subnet_id");
    let subnet = json!({"subnet_id": "subnet-12345678"});
    let in_zone = json!({"availability_zone": "us-east-1a"});
    let on_host = json!({"host_id": "h-12345678"});
    let reserved = json!({"id": "cr-12345678"});
    for (members, fields) in [
        (json!({"placement": in_zone, "alternatives": [subnet]}), &[other_subnet][..]),
        (json!({"placement": in_zone, "alternatives": [{"instance_type": "m5.large"}]}), &[]),
        (json!({"placement": on_host, "alternatives": [{"instance_type": "m5.large"}]}), &[other_type]),
        (json!({"placement": on_host, "alternatives": [{"instance_type": "c5.4xlarge"}]}), &[]),
        (json!({"placement": on_host, "alternatives": [subnet]}), &[other_subnet]),
        (json!({"capacity_reservation": reserved, "alternatives": [{"instance_type": "c5.4xlarge"}]}), &[other_type]),
        (json!({"capacity_reservation": reserved, "alternatives": [subnet]}), &[other_subnet]),
        (json!({"capacity_reservation": {"preference": "open"}, "alternatives": [subnet]}), &[]),
        (json!({"alternatives": [subnet, {"instance_type": "m5.large"}]}), &[]),
    ] {
        assert_eq!(refused(members.clone()), fields, "{members}");
    }
}

#[test]
fn on_demand_options_are_refused_for_spot() {
    assert_eq!(refused(json!({"spot": {}, "termination_protection": true})), ["termination_protection"]);
    let reservation = json!({"id": "cr-12345678"});
    assert_eq!(refused(json!({"spot": {}, "capacity_reservation": reservation})), ["capacity_reservation"]);
    let falls_back = json!({"spot": {}, "capacity_reservation": reservation, "on_demand_fallback": true});
    assert!(refused(falls_back).is_empty());
}

#[test]
fn a_spot_instance_that_would_not_terminate_on_interruption_is_refused() {
    for behavior in ["stop", "hibernate"] {
        let body = json!({
            "name": "a", "image_id": "ami-12345678", "instance_type": "c5.large", "spot": {"interruption_behavior": behavior},
        });
        let refused = read(body).unwrap_err().to_string();
        assert!(refused.starts_with("spot.interruption_behavior: must be terminate"), "{refused}");
        assert!(refused.contains(&format!("{behavior} needs a persistent spot request")), "{refused}");
    }
    assert!(refused(json!({"spot": {"interruption_behavior": "terminate"}})).is_empty());
}

#[test]
fn user_data_in_base64_has_as_many_bytes_as_plain_text() {
    // 16,384 bytes are 5,461 groups of three bytes, and one more byte.
    let most = format!("{}AA==", "A".repeat(4 * 5461));
    assert!(refused(json!({"user_data_base64": most})).is_empty());
    assert!(refused(json!({"user_data_base64": "H4sIAA==", "user_data": null})).is_empty());
}

#[test]
fn every_option_has_a_value_that_is_refused() {
    for (members, field) in [
        (json!({"iam_instance_profile": "a b"}), "iam_instance_profile"),
        (json!({"user_data": "x".repeat(MAX_USER_DATA_BYTES + 1)}), "user_data"),
        (json!({"user_data_base64": "H4sI="}), "user_data_base64"),
        (json!({"user_data_base64": "#cloud-config"}), "user_data_base64"),
        (json!({"user_data_base64": "A".repeat(21_848)}), "user_data_base64"),
        (json!({"user_data": "a", "user_data_base64": "H4sIAA=="}), "user_data_base64"),
        (json!({"private_ip": "10.0.0.256", "subnet_id": "subnet-12345678"}), "private_ip"),
        (json!({"private_ip": "10.0.0.5"}), "private_ip"),
        (json!({"metadata_hop_limit": 65}), "metadata_hop_limit"),
        (json!({"shutdown_behavior": "hibernate"}), "shutdown_behavior"),
        (json!({"placement": {"host_id": "h-12345678", "tenancy": "dedicated"}}), "placement.tenancy"),
        (json!({"placement": {"availability_zone": "US"}}), "placement.availability_zone"),
        (json!({"placement": {"rack": 1}}), "placement.rack"),
        (json!({"cpu": {"core_count": 0, "threads_per_core": 1}}), "cpu.core_count"),
        (json!({"spot": {"max_price": "free"}}), "spot.max_price"),
        (json!({"spot": {"interruption_behavior": "wait"}}), "spot.interruption_behavior"),
        (json!({"capacity_reservation": {}}), "capacity_reservation"),
        (json!({"capacity_reservation": {"id": "cr-12345678", "preference": "open"}}), "capacity_reservation"),
        (json!({"alternatives": [{}, {}, {}, {}, {}, {}]}), "alternatives"),
        (json!({"alternatives": [{"instance_type": "large"}]}), "alternatives[0].instance_type"),
        (json!({"root_volume": {"type": "gp4"}}), "root_volume.type"),
        (json!({"root_volume": {"type": "io2"}}), "root_volume.iops"),
        (json!({"extra_volumes": vec![json!({"size_gib": 1}); MAX_EXTRA_VOLUMES + 1]}), "extra_volumes"),
        (json!({"tags": {"CreatedBy": "me"}}), "tags.CreatedBy"),
        (json!({"tags": {"idempotencyfingerprint": "x"}}), "tags.idempotencyfingerprint"),
    ] {
        assert_eq!(refused(members), [field]);
    }
}

#[test]
fn nested_virtualization_is_asked_of_types_that_can_be_told_to() {
    let nested = |kind: &str| refused(json!({"instance_type": kind, "cpu": {"nested_virtualization": true}}));
    for accepted in ["c8i.2xlarge", "c7i.2xlarge", "c99x.large"] {
        assert!(nested(accepted).is_empty(), "{accepted}");
    }
    assert_eq!(nested("m5zn.metal"), ["cpu.nested_virtualization"]);
    assert_eq!(nested("c5.2xlarge"), ["cpu.nested_virtualization"]);
    let alternatives = json!({"instance_type": "m8i.large", "cpu": {"nested_virtualization": true}, "alternatives": [{}, {"instance_type": "m5.large"}]});
    assert_eq!(refused(alternatives), ["alternatives[1].instance_type"]);
}

#[test]
fn warnings_say_what_will_not_work() {
    let warnings = |body: Value| {
        let launch: Launch = deserr::deserialize::<_, _, Invalid>(body).unwrap();
        launch.warnings(&launch.instance_type.clone()).join(" ")
    };
    assert!(warnings(json!({"name": "a", "instance_type": "c5.large"})).contains("cannot run nested virtual machines"));
    assert!(
        warnings(json!({"name": "a", "instance_type": "c8i.large"})).contains("only with cpu.nested_virtualization")
    );
    assert_eq!(
        warnings(json!({"name": "a", "instance_type": "c8i.large", "cpu": {"nested_virtualization": true}})),
        ""
    );
    let nested =
        |kind: &str| warnings(json!({"name": "a", "instance_type": kind, "cpu": {"nested_virtualization": true}}));
    assert!(nested("c7i.large").contains("API reference"));
    assert!(nested("c99x.large").contains("does not know whether"));
    assert_eq!(warnings(json!({"name": "a", "instance_type": "m5zn.metal"})), "");
    let protected = warnings(json!({"name": "a", "instance_type": "m5zn.metal", "termination_protection": true}));
    assert!(protected.contains("no operation of this API lifts it"));
}
