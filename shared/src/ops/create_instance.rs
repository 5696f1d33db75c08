//! Launch a worker.

use aws_sdk_ec2::operation::run_instances::builders::RunInstancesFluentBuilder;
use aws_sdk_ec2::types::{
    BlockDeviceMapping, EbsBlockDevice, HttpTokensState, InstanceMetadataEndpointState, InstanceMetadataOptionsRequest,
    InstanceType as Ec2InstanceType, ResourceType, RunInstancesMonitoringEnabled, Tag, TagSpecification,
};
use deserr::{Deserr, IntoValue, Map, Value, ValuePointerRef};
use serde::Serialize;

use crate::clients::Clients;
use crate::config::Config;
use crate::error::{Code, Error};
use crate::image::{self, ImageChoice, ImageId, ImageName, LaunchImage, RootVolume};
use crate::input::{Invalid, Refusal, both, checked_string, is_resource_id};
use crate::instance::{Instance, InstanceType};
use crate::mutation::{Mutation, permitted};
use crate::region::Region;
use crate::tags::{MAX_TAGS, NewTags, OWNERSHIP_KEY, tag};

/// The body: what to launch. `name` and `instance_type` are required, and one of `image_id` and `image_name`.
#[derive(Debug, Clone)]
pub struct CreateInstance {
    /// The image.
    pub image: ImageChoice,
    /// Everything else.
    pub launch: Launch,
}

/// What to launch, but for the image.
#[derive(Debug, Clone, deserr::Deserr)]
#[deserr(error = Invalid, deny_unknown_fields)]
pub struct Launch {
    /// The tag `Name`.
    pub name: WorkerName,
    /// The type; one of `CML_ALLOWED_INSTANCE_TYPES`.
    pub instance_type: InstanceType,
    /// The subnet; the default VPC's own choice unless given.
    #[deserr(default)]
    pub subnet_id: Option<SubnetId>,
    /// The security groups; the VPC's default group unless given.
    #[deserr(default)]
    pub security_group_ids: Vec<SecurityGroupId>,
    /// The key pair for SSH.
    #[deserr(default)]
    pub key_name: Option<KeyName>,
    /// More tags. `Name` and the ownership tag are set by us.
    #[deserr(default, try_from(NewTags) = beside_ours -> Refusal)]
    pub tags: NewTags,
    /// CloudWatch metrics each minute instead of every five.
    #[deserr(default)]
    pub detailed_monitoring: bool,
}

checked_string! {
    /// The name of a worker: the tag `Name`.
    WorkerName,
    |name| {
        let length = name.chars().count();
        if (1..=256).contains(&length) && !name.chars().any(char::is_control) { Ok(()) } else {
            Err("must have 1 to 256 characters and no control characters")
        }
    }
}

checked_string! {
    /// The id of a subnet.
    SubnetId,
    |id| if is_resource_id(id, "subnet-") { Ok(()) } else { Err("must be subnet- and 8 or 17 hexadecimal digits") }
}

checked_string! {
    /// The id of a security group.
    SecurityGroupId,
    |id| if is_resource_id(id, "sg-") { Ok(()) } else { Err("must be sg- and 8 or 17 hexadecimal digits") }
}

checked_string! {
    /// The name of a key pair.
    KeyName,
    |name| if (1..=255).contains(&name.len()) && name.bytes().all(|b| (b' '..=b'~').contains(&b)) { Ok(()) } else {
        Err("must have 1 to 255 printable ASCII characters")
    }
}

fn beside_ours(tags: NewTags) -> Result<NewTags, Refusal> {
    if tags.0.keys().any(|key| key.as_str() == "Name") {
        return Err(Refusal("must not hold Name: the field name sets it".to_owned()));
    }
    let most = MAX_TAGS - 2;
    if tags.0.len() > most {
        return Err(Refusal(format!("must have at most {most} tags, beside Name and {OWNERSHIP_KEY}")));
    }
    Ok(tags)
}

impl Launch {
    /// A launch to ask EC2 about, of a type that is allowed; none if no type can be made of the patterns.
    pub(crate) fn for_permission_test(config: &Config) -> Option<Self> {
        let of_pattern = |pattern: String| InstanceType::try_from(pattern.replace('*', "large")).ok();
        Some(Self {
            name: WorkerName::try_from("permission-self-test".to_owned()).ok()?,
            instance_type: config.allowed_instance_types.iter().find_map(|pattern| of_pattern(pattern.to_string()))?,
            subnet_id: None,
            security_group_ids: Vec::new(),
            key_name: None,
            tags: NewTags::default(),
            detailed_monitoring: false,
        })
    }
}

impl Deserr<Invalid> for CreateInstance {
    fn deserialize_from_value<V: IntoValue>(value: Value<V>, location: ValuePointerRef) -> Result<Self, Invalid> {
        let (image, rest) = match value {
            Value::Map(mut fields) => (image_choice(&mut fields, location), Value::<V>::Map(fields)),
            // No object: only the rest's complaint is of interest.
            other => return Launch::deserialize_from_value(other, location).and(Err(Invalid::default())),
        };
        let (image, launch) = both(image, Launch::deserialize_from_value(rest, location))?;
        Ok(Self { image, launch })
    }
}

fn image_choice<M: Map>(fields: &mut M, location: ValuePointerRef) -> Result<ImageChoice, Invalid> {
    let (id, name) = (fields.remove("image_id"), fields.remove("image_name"));
    let id = read_option::<ImageId, _>(id, location.push_key("image_id"));
    let name = read_option::<ImageName, _>(name, location.push_key("image_name"));
    match both(id, name)? {
        (Some(id), None) => Ok(ImageChoice::Id(id)),
        (None, Some(name)) => Ok(ImageChoice::Name(name)),
        (None, None) => Err(Invalid::field("image_id", "is required, or image_name instead")),
        (Some(_), Some(_)) => Err(Invalid::field("image_name", "must not be given beside image_id")),
    }
}

fn read_option<T: Deserr<Invalid>, V: IntoValue>(value: Option<V>, at: ValuePointerRef) -> Result<Option<T>, Invalid> {
    value.map_or(Ok(None), |value| Option::deserialize_from_value(value.into_value(), at))
}

/// What create answers: the instance, and what the caller should know about it.
#[derive(Debug, Clone, Serialize)]
pub struct Launched {
    /// The instance.
    #[serde(flatten)]
    pub instance: Instance,
    /// What was accepted and will not do all that the caller may expect.
    pub warnings: Vec<String>,
}

/// Launches one instance: tagged as ours by RunInstances itself, IMDSv2 only, its root volume encrypted.
///
/// AWS: ec2:DescribeImages, ec2:RunInstances, ec2:CreateTags.
///
/// # Errors
/// 403 for a type that is not allowed, 404 for an unknown image, and whatever EC2 refuses.
pub async fn create_instance(
    clients: &Clients,
    region: &Region,
    wanted: &CreateInstance,
    dry_run: bool,
) -> Result<Mutation<Launched>, Error> {
    let ec2 = clients.ec2(region)?;
    check_type(clients, &wanted.launch.instance_type)?;
    let image = image::find(clients, region, &wanted.image).await?;
    let call = run_instances(ec2, &wanted.launch, &image, clients.managed_by());
    if dry_run {
        return permitted(call.dry_run(true).send().await);
    }
    let answer = call.send().await?;
    let instance = answer.instances().first().ok_or_else(|| {
        Error::new(
            Code::AwsError,
            "EC2 accepted the launch but named no instance: list the instances before trying again",
        )
    })?;
    let instance = Instance::from_ec2(instance, region, clients.managed_by());
    Ok(Mutation::Done(Launched { instance: Instance { image_name: image.name, ..instance }, warnings: Vec::new() }))
}

fn check_type(clients: &Clients, wanted: &InstanceType) -> Result<(), Error> {
    let config = clients.config();
    if config.allows(wanted) {
        return Ok(());
    }
    let allowed: Vec<String> = config.allowed_instance_types.iter().map(ToString::to_string).collect();
    let detail = format!("{wanted} is not among the allowed instance types: {}", allowed.join(", "));
    Err(Error::new(Code::InstanceTypeNotAllowed, detail))
}

/// The launch, all of it but the sending.
pub(crate) fn run_instances(
    ec2: &aws_sdk_ec2::Client,
    launch: &Launch,
    image: &LaunchImage,
    managed_by: &str,
) -> RunInstancesFluentBuilder {
    let tags: Vec<Tag> = [tag("Name", launch.name.as_str()), tag(OWNERSHIP_KEY, managed_by)]
        .into_iter()
        .chain(launch.tags.to_ec2())
        .collect();
    ec2.run_instances()
        .min_count(1)
        .max_count(1)
        .image_id(&image.image_id)
        .instance_type(Ec2InstanceType::from(launch.instance_type.as_str()))
        .set_subnet_id(launch.subnet_id.clone().map(String::from))
        .set_security_group_ids(some(launch.security_group_ids.iter().map(ToString::to_string).collect()))
        .set_key_name(launch.key_name.clone().map(String::from))
        .monitoring(RunInstancesMonitoringEnabled::builder().enabled(launch.detailed_monitoring).build())
        .metadata_options(imds_v2())
        .set_block_device_mappings(image.root.as_ref().map(|root| vec![encrypted(root)]))
        .set_tag_specifications(Some(on_each_resource(&tags)))
}

/// Tags on everything the launch makes, in the launch itself: no moment exists in which a resource is not ours.
fn on_each_resource(tags: &[Tag]) -> Vec<TagSpecification> {
    [ResourceType::Instance, ResourceType::Volume, ResourceType::NetworkInterface]
        .map(|kind| TagSpecification::builder().resource_type(kind).set_tags(Some(tags.to_vec())).build())
        .to_vec()
}

/// IMDSv2 is never optional; two hops let containers on the worker reach it.
fn imds_v2() -> InstanceMetadataOptionsRequest {
    InstanceMetadataOptionsRequest::builder()
        .http_endpoint(InstanceMetadataEndpointState::Enabled)
        .http_tokens(HttpTokensState::Required)
        .http_put_response_hop_limit(2)
        .build()
}

fn encrypted(root: &RootVolume) -> BlockDeviceMapping {
    let volume = EbsBlockDevice::builder().encrypted(true).set_volume_size(root.size_gib).build();
    BlockDeviceMapping::builder().device_name(&root.device_name).ebs(volume).build()
}

/// An empty list is not sent: EC2 would take it for an empty first element.
fn some(list: Vec<String>) -> Option<Vec<String>> {
    Some(list).filter(|list| !list.is_empty())
}

#[cfg(test)]
mod tests;
