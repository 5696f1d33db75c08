//! What an account with workers has in EC2: images, a network, a key pair, and workers if asked for.

use std::fs;

use aws_sdk_ec2::Client;
use aws_sdk_ec2::types::{InstanceType, ResourceType, Subnet, Tag, TagSpecification};
use serde::Deserialize;

use super::{ACCOUNT_ID, Result, repository};

/// Name of the key pair and of the security group.
const NAME: &str = "cml-workers";

/// The demo workers: name and instance type.
const DEMO_WORKERS: [(&str, InstanceType); 2] =
    [("cml-worker-1", InstanceType::M5znMetal), ("cml-worker-2", InstanceType::C52xlarge)];

/// What there is to launch workers with, and those launched.
#[derive(Clone, Debug)]
pub struct Workers {
    /// The newest worker image that can be launched.
    pub image: Image,
    /// A default subnet.
    pub subnet_id: String,
    /// A security group in that subnet's VPC.
    pub security_group_id: String,
    /// A key pair.
    pub key_name: String,
    /// The demo workers' instance ids.
    pub demo: Vec<String>,
}

/// A machine image, as `local/images.json` lists it for both emulators.
#[derive(Clone, Debug, Deserialize)]
pub struct Image {
    /// As in `ami-…`.
    #[serde(rename = "ami_id")]
    pub id: String,
    /// As in `cml-2.8.1-worker`.
    pub name: String,
    owner_id: String,
    state: String,
    creation_date: String,
}

/// Makes it all, one request after the other: moto draws identifiers in the order of requests.
///
/// # Errors
/// EC2 refused something, or has no default subnet.
pub async fn prepare(ec2: &Client, demo: bool) -> Result<Workers> {
    let image = newest_image()?;
    let subnet = default_subnet(ec2).await?;
    let subnet_id = subnet.subnet_id.ok_or("a subnet without an id")?;
    let security_group_id = create_security_group(ec2, subnet.vpc_id).await?;
    ec2.create_key_pair().key_name(NAME).send().await?;
    let mut workers = Workers { image, subnet_id, security_group_id, key_name: NAME.to_owned(), demo: Vec::new() };
    if demo {
        for (name, instance_type) in DEMO_WORKERS {
            let instance_id = launch(ec2, &workers, name, instance_type).await?;
            workers.demo.push(instance_id);
        }
    }
    Ok(workers)
}

fn newest_image() -> Result<Image> {
    let images: Vec<Image> = serde_json::from_str(&fs::read_to_string(repository().join("tests/local/images.json"))?)?;
    let own = images.into_iter().filter(|image| image.owner_id == ACCOUNT_ID && image.state == "available");
    Ok(own.max_by(|a, b| a.creation_date.cmp(&b.creation_date)).ok_or("images.json has no image of ours")?)
}

async fn default_subnet(ec2: &Client) -> Result<Subnet> {
    let subnets = ec2.describe_subnets().send().await?.subnets.unwrap_or_default();
    let default = subnets.into_iter().filter(|subnet| subnet.default_for_az == Some(true));
    Ok(default.min_by(|a, b| a.availability_zone.cmp(&b.availability_zone)).ok_or("EC2 has no default subnet")?)
}

async fn create_security_group(ec2: &Client, vpc_id: Option<String>) -> Result<String> {
    let request = ec2.create_security_group().group_name(NAME).description("CML workers").set_vpc_id(vpc_id);
    Ok(request.send().await?.group_id.ok_or("a security group without an id")?)
}

async fn launch(ec2: &Client, workers: &Workers, name: &str, instance_type: InstanceType) -> Result<String> {
    let tag = |key: &str, value: &str| Tag::builder().key(key).value(value).build();
    let tags = TagSpecification::builder()
        .resource_type(ResourceType::Instance)
        .tags(tag("Name", name))
        .tags(tag("ManagedBy", "cml-cloud-manager"))
        .build();
    let request = ec2
        .run_instances()
        .image_id(&workers.image.id)
        .instance_type(instance_type)
        .subnet_id(&workers.subnet_id)
        .security_group_ids(&workers.security_group_id)
        .key_name(&workers.key_name)
        .tag_specifications(tags)
        .min_count(1)
        .max_count(1);
    let instance = request.send().await?.instances.unwrap_or_default().pop().ok_or("no instance was launched")?;
    Ok(instance.instance_id.ok_or("an instance without an id")?)
}
