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
