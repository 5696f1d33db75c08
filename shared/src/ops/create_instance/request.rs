//! RunInstances, as create-instance sends it.

use aws_sdk_ec2::operation::run_instances::builders::RunInstancesFluentBuilder;
use aws_sdk_ec2::types::{
    CapacityReservationPreference, CapacityReservationSpecification, CapacityReservationTarget, CpuOptionsRequest,
    HttpTokensState, IamInstanceProfileSpecification, InstanceInterruptionBehavior, InstanceMarketOptionsRequest,
    InstanceMetadataEndpointState, InstanceMetadataOptionsRequest, InstanceNetworkInterfaceSpecification,
    InstanceType as Ec2InstanceType, MarketType, NestedVirtualizationSpecification, Placement as Ec2Placement,
    ResourceType, RunInstancesMonitoringEnabled, ShutdownBehavior as Ec2ShutdownBehavior, SpotInstanceType,
    SpotMarketOptions, Tag, TagSpecification, Tenancy as Ec2Tenancy,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::attempt::Attempt;
use super::launching::Launching;
use super::volumes::of_launch;
use crate::input::texts;
use crate::model::image::LaunchImage;
use crate::model::launch::{
    CapacityReservation, Cpu, HopLimit, InstanceProfile, Launch, Placement, ReservationPreference, ShutdownBehavior,
    Spot, Tenancy, UserData,
};
use crate::model::tags::{CREATED_BY_KEY, FINGERPRINT_KEY, MAX_VALUE_LENGTH, NAME_KEY, OWNERSHIP_KEY, tag};

/// Builds the call that launches an instance, without sending it.
pub(crate) fn run_instances(
    launching: &Launching,
    attempt: &Attempt,
    image: &LaunchImage,
) -> RunInstancesFluentBuilder {
    let launch = launching.launch;
    // Reservations are for on-demand capacity only.
    let reservation = launch.capacity_reservation.as_ref().filter(|_| !attempt.spot);
    let call = launching
        .ec2
        .run_instances()
        .min_count(1)
        .max_count(1)
        .image_id(&image.image_id)
        .instance_type(Ec2InstanceType::from(attempt.instance_type.as_str()))
        .set_key_name(launch.key_name.clone().map(String::from))
        .set_iam_instance_profile(launch.iam_instance_profile.as_ref().map(instance_profile))
        .set_user_data(launch.user_data.as_ref().map(base64).or(launch.user_data_base64.clone().map(String::from)))
        .monitoring(RunInstancesMonitoringEnabled::builder().enabled(launch.detailed_monitoring).build())
        .metadata_options(imds_v2(launch.metadata_hop_limit))
        .set_disable_api_termination(launch.termination_protection.then_some(true))
        .set_instance_initiated_shutdown_behavior(launch.shutdown_behavior.map(shutdown_behavior))
        .set_placement(placement(&launch.placement))
        .set_cpu_options(cpu_options(launch.cpu))
        .set_instance_market_options(launch.spot.as_ref().filter(|_| attempt.spot).map(market_options))
        .set_capacity_reservation_specification(reservation.map(capacity_reservation))
        .set_tag_specifications(Some(on_each_resource(launching, attempt)));
    network(with_volumes(call, launch, image), launch, attempt)
}

fn with_volumes(call: RunInstancesFluentBuilder, launch: &Launch, image: &LaunchImage) -> RunInstancesFluentBuilder {
    let volumes = of_launch(image, &launch.root_volume, &launch.extra_volumes);
    call.set_block_device_mappings(Some(volumes).filter(|volumes| !volumes.is_empty()))
}

/// Sets the network of the call. A choice about the public address belongs to the network interface, and EC2 then takes the
/// subnet and the groups only there.
fn network(call: RunInstancesFluentBuilder, launch: &Launch, attempt: &Attempt) -> RunInstancesFluentBuilder {
    let subnet_id = attempt.subnet_id.clone().map(String::from);
    let private_ip = launch.private_ip.clone().map(String::from);
    let groups: Vec<String> = texts(&launch.security_group_ids);
    // An empty list is not sent, because EC2 would take it for an empty first element.
    let groups = Some(groups).filter(|groups| !groups.is_empty());
    let Some(public_ip) = launch.associate_public_ip else {
        return call.set_subnet_id(subnet_id).set_private_ip_address(private_ip).set_security_group_ids(groups);
    };
    let interface = InstanceNetworkInterfaceSpecification::builder()
        .device_index(0)
        .associate_public_ip_address(public_ip)
        .delete_on_termination(true)
        .set_subnet_id(subnet_id)
        .set_private_ip_address(private_ip)
        .set_groups(groups);
    call.network_interfaces(interface.build())
}

/// The tags of everything that the launch makes. The launch itself sets them, so no resource is ever without our tags.
fn on_each_resource(launching: &Launching, attempt: &Attempt) -> Vec<TagSpecification> {
    let Launching { clients, launch, caller, .. } = launching;
    let tags: Vec<Tag> = [tag(NAME_KEY, launch.name.as_str()), tag(OWNERSHIP_KEY, clients.managed_by())]
        .into_iter()
        .chain(caller.arn.as_ref().map(|arn| tag(CREATED_BY_KEY, &as_value(arn))))
        .chain(caller.keyed_request.as_ref().map(|keyed_request| tag(FINGERPRINT_KEY, &keyed_request.fingerprint)))
        .chain(launch.tags.to_ec2())
        .collect();
    let kinds = [ResourceType::Instance, ResourceType::Volume, ResourceType::NetworkInterface];
    let request = attempt.spot.then_some(ResourceType::SpotInstancesRequest);
    kinds
        .into_iter()
        .chain(request)
        .map(|kind| TagSpecification::builder().resource_type(kind).set_tags(Some(tags.clone())).build())
        .collect()
}

/// Cuts an ARN to the length of a tag value: the ARN of a user below a long path can be longer.
fn as_value(arn: &str) -> String {
    arn.chars().take(MAX_VALUE_LENGTH).collect()
}

/// The metadata options. IMDSv2 is always required.
fn imds_v2(hops: HopLimit) -> InstanceMetadataOptionsRequest {
    InstanceMetadataOptionsRequest::builder()
        .http_endpoint(InstanceMetadataEndpointState::Enabled)
        .http_tokens(HttpTokensState::Required)
        .http_put_response_hop_limit(hops.0)
        .build()
}

fn instance_profile(profile: &InstanceProfile) -> IamInstanceProfileSpecification {
    let specification = IamInstanceProfileSpecification::builder();
    match profile.as_str() {
        arn if arn.starts_with("arn:") => specification.arn(arn).build(),
        name => specification.name(name).build(),
    }
}

fn base64(user_data: &UserData) -> String {
    STANDARD.encode(user_data.as_str())
}

fn shutdown_behavior(behavior: ShutdownBehavior) -> Ec2ShutdownBehavior {
    match behavior {
        ShutdownBehavior::Stop => Ec2ShutdownBehavior::Stop,
        ShutdownBehavior::Terminate => Ec2ShutdownBehavior::Terminate,
    }
}

fn placement(wish: &Placement) -> Option<Ec2Placement> {
    let host = wish.host_id.as_ref().map(|_| Ec2Tenancy::Host);
    let placement = Ec2Placement::builder()
        .set_availability_zone(wish.availability_zone.clone().map(String::from))
        .set_tenancy(wish.tenancy.map(tenancy).or(host))
        .set_group_name(wish.group.clone().map(String::from))
        .set_host_id(wish.host_id.clone().map(String::from))
        .build();
    Some(placement).filter(|placement| *placement != Ec2Placement::builder().build())
}

fn tenancy(tenancy: Tenancy) -> Ec2Tenancy {
    match tenancy {
        Tenancy::Default => Ec2Tenancy::Default,
        Tenancy::Dedicated => Ec2Tenancy::Dedicated,
        Tenancy::Host => Ec2Tenancy::Host,
    }
}

fn cpu_options(cpu: Cpu) -> Option<CpuOptionsRequest> {
    let options = CpuOptionsRequest::builder()
        .set_core_count(cpu.core_count.map(i32::from))
        .set_threads_per_core(cpu.threads_per_core.map(i32::from))
        .set_nested_virtualization(cpu.nested_virtualization.then_some(NestedVirtualizationSpecification::Enabled))
        .build();
    Some(options).filter(|options| *options != CpuOptionsRequest::builder().build())
}

fn market_options(spot: &Spot) -> InstanceMarketOptionsRequest {
    let options = SpotMarketOptions::builder()
        .spot_instance_type(SpotInstanceType::OneTime)
        .instance_interruption_behavior(InstanceInterruptionBehavior::Terminate)
        .set_max_price(spot.max_price.clone().map(String::from))
        .build();
    InstanceMarketOptionsRequest::builder().market_type(MarketType::Spot).spot_options(options).build()
}

fn capacity_reservation(wish: &CapacityReservation) -> CapacityReservationSpecification {
    let target =
        wish.id.as_ref().map(|id| CapacityReservationTarget::builder().capacity_reservation_id(id.as_str()).build());
    CapacityReservationSpecification::builder()
        .set_capacity_reservation_target(target)
        .set_capacity_reservation_preference(wish.preference.map(|preference| match preference {
            ReservationPreference::Open => CapacityReservationPreference::Open,
            ReservationPreference::None => CapacityReservationPreference::None,
        }))
        .build()
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::operation::run_instances::builders::RunInstancesInputBuilder;
    use aws_sdk_ec2::types::{Placement as SentPlacement, ShutdownBehavior as SentBehavior, Tenancy as SentTenancy};
    use serde_json::{Value, json};

    use super::*;
    use crate::input::Invalid;
    use crate::ops::create_instance::caller::Caller;
    use crate::testing;

    /// What RunInstances is sent for the first attempt of a launch with these options.
    fn sent(options: &Value) -> RunInstancesInputBuilder {
        let mut body = json!({"name": "a", "instance_type": "c5.large"});
        body.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
        let launch: Launch = deserr::deserialize::<_, _, Invalid>(body).unwrap();
        let (clients, region, caller) = (testing::clients(&[]), testing::region(), Caller::default());
        let launching = Launching::new(&clients, &region, &launch, &caller).unwrap();
        let image =
            LaunchImage { image_id: "ami-0123456789abcdef0".to_owned(), name: None, root: None, others: Vec::new() };
        run_instances(&launching, &Attempt::first(&launch), &image).as_input().clone()
    }

    fn placement_sent(options: &Value) -> Option<SentPlacement> {
        sent(&json!({"placement": options})).get_placement().clone()
    }

    #[test]
    fn options_that_are_not_given_are_not_sent() {
        let plain = sent(&json!({}));
        assert!(plain.get_placement().is_none() && plain.get_cpu_options().is_none());
        assert!(plain.get_user_data().is_none() && plain.get_iam_instance_profile().is_none());
        assert!(plain.get_instance_market_options().is_none());
        assert!(plain.get_capacity_reservation_specification().is_none());
        assert!(plain.get_instance_initiated_shutdown_behavior().is_none());
        assert_eq!((plain.get_disable_api_termination(), plain.get_network_interfaces()), (&None, &None));
    }

    #[test]
    fn user_data_is_sent_in_base64_and_base64_as_it_is() {
        assert_eq!(sent(&json!({"user_data": "#!/bin/sh"})).get_user_data().as_deref(), Some("IyEvYmluL3No"));
        assert_eq!(sent(&json!({"user_data_base64": "H4sI"})).get_user_data().as_deref(), Some("H4sI"));
    }

    #[test]
    fn the_placement_is_sent_member_by_member() {
        let zone = placement_sent(&json!({"availability_zone": "us-east-1a", "tenancy": "dedicated"})).unwrap();
        assert_eq!((zone.availability_zone(), zone.tenancy()), (Some("us-east-1a"), Some(&SentTenancy::Dedicated)));
        let shared = placement_sent(&json!({"tenancy": "default", "group": "near"})).unwrap();
        assert_eq!((shared.group_name(), shared.tenancy()), (Some("near"), Some(&SentTenancy::Default)));
        // A host implies its tenancy.
        let host = placement_sent(&json!({"host_id": "h-0123456789abcdef0"})).unwrap();
        assert_eq!((host.host_id(), host.tenancy()), (Some("h-0123456789abcdef0"), Some(&SentTenancy::Host)));
    }

    #[test]
    fn cpu_options_and_shutdown_behavior_are_sent_as_they_are_wished() {
        let cpu = sent(&json!({"cpu": {"core_count": 2, "threads_per_core": 1}})).get_cpu_options().clone().unwrap();
        assert_eq!((cpu.core_count(), cpu.threads_per_core(), cpu.nested_virtualization()), (Some(2), Some(1), None));
        for (wish, behavior) in [("stop", SentBehavior::Stop), ("terminate", SentBehavior::Terminate)] {
            let input = sent(&json!({"shutdown_behavior": wish}));
            assert_eq!(input.get_instance_initiated_shutdown_behavior().as_ref(), Some(&behavior));
        }
        assert_eq!(sent(&json!({"termination_protection": true})).get_disable_api_termination(), &Some(true));
    }

    #[test]
    fn a_profile_is_sent_by_arn_or_by_name() {
        let arn = "arn:aws:iam::123456789012:instance-profile/CMLWorker";
        let by_arn = sent(&json!({"iam_instance_profile": arn})).get_iam_instance_profile().clone().unwrap();
        assert_eq!((by_arn.arn(), by_arn.name()), (Some(arn), None));
        let by_name = sent(&json!({"iam_instance_profile": "CMLWorker"})).get_iam_instance_profile().clone().unwrap();
        assert_eq!((by_name.arn(), by_name.name()), (None, Some("CMLWorker")));
    }

    #[test]
    fn a_choice_of_address_goes_with_subnet_and_groups_into_the_interface() {
        let options = json!({
            "associate_public_ip": false, "subnet_id": "subnet-0123456789abcdef0",
            "security_group_ids": ["sg-0123456789abcdef0"], "private_ip": "10.0.0.9",
        });
        let input = sent(&options);
        let [interface] = &input.get_network_interfaces().clone().unwrap()[..] else { panic!("{input:?}") };
        assert_eq!((interface.associate_public_ip_address(), interface.device_index()), (Some(false), Some(0)));
        assert_eq!(
            (interface.subnet_id(), interface.private_ip_address()),
            (Some("subnet-0123456789abcdef0"), Some("10.0.0.9"))
        );
        assert_eq!(
            (interface.groups(), interface.delete_on_termination()),
            (&["sg-0123456789abcdef0".to_owned()][..], Some(true))
        );
        assert_eq!((input.get_subnet_id(), input.get_private_ip_address()), (&None, &None));
    }

    #[test]
    fn a_spot_launch_is_sent_without_a_reservation() {
        let spot = sent(&json!({"spot": {"max_price": "0.5"}})).get_instance_market_options().clone().unwrap();
        assert_eq!(spot.market_type(), Some(&MarketType::Spot));
        assert_eq!(spot.spot_options().and_then(|options| options.max_price()), Some("0.5"));
        let reserved = |options: &Value| sent(options).get_capacity_reservation_specification().clone();
        let by_id = reserved(&json!({"capacity_reservation": {"id": "cr-0123456789abcdef0"}})).unwrap();
        let target = by_id.capacity_reservation_target().and_then(|target| target.capacity_reservation_id());
        assert_eq!(target, Some("cr-0123456789abcdef0"));
        let none = reserved(&json!({"capacity_reservation": {"preference": "none"}})).unwrap();
        assert_eq!(none.capacity_reservation_preference(), Some(&CapacityReservationPreference::None));
        let both = json!({
            "spot": {}, "on_demand_fallback": true, "capacity_reservation": {"id": "cr-0123456789abcdef0"},
        });
        assert!(reserved(&both).is_none());
    }
}
