//! Makes the launch that the self-test sends as a dry run: one that this account can make.

use aws_sdk_ec2::types;
use serde_json::json;

use crate::config::Config;
use crate::input::{Invalid, texts};
use crate::model::image::LaunchImage;
use crate::model::instance::Instance;
use crate::model::instance_type::InstanceType;
use crate::model::launch::Launch;

/// The launch of an image on a type of the same architecture, in the subnet of the deployment's own workers: an account
/// without a default VPC has no other subnet to offer.
///
/// # Errors
/// The reason why there is no launch to try.
pub(super) fn launch(
    config: &Config,
    images: &[types::Image],
    worker: Option<&Instance>,
) -> Result<(Launch, LaunchImage), &'static str> {
    if images.is_empty() {
        return Err("the account has no available image of its own with which a launch could be tried");
    }
    let of_pattern = |pattern: String| InstanceType::try_from(pattern.replace('*', "large")).ok();
    let types = config.allowed_instance_types.iter().filter_map(|pattern| of_pattern(pattern.to_string()));
    let mut types = types.peekable();
    if types.peek().is_none() {
        return Err(
            "the self-test cannot make the name of an instance type from any pattern in CML_ALLOWED_INSTANCE_TYPES",
        );
    }
    let fits = |kind: &InstanceType| images.iter().find(|image| runs(kind.as_str(), image));
    let (kind, image) = types
        .find_map(|kind| fits(&kind).map(|image| (kind, image)))
        .ok_or("no image of the account has the architecture of an allowed instance type")?;
    let (subnet, groups) = network(config, worker)?;
    let body = json!({
        "name": "permission-self-test", "instance_type": kind.as_str(), "subnet_id": subnet, "security_group_ids": groups,
    });
    let launch = deserr::deserialize::<Launch, _, Invalid>(body)
        .map_err(|_| "the self-test cannot make a launch from this configuration")?;
    Ok((launch, LaunchImage::from_ec2(image)))
}

/// The subnet and security groups of a worker, as far as the limits allow them. Without a worker they are those of the
/// limits, which do not say what belongs to which region.
fn network(config: &Config, worker: Option<&Instance>) -> Result<(Option<String>, Vec<String>), &'static str> {
    let limits = &config.limits;
    let (subnets, groups) = (texts(&limits.subnets), texts(&limits.security_groups));
    let may = |allowed: &[String], id: &String| allowed.is_empty() || allowed.contains(id);
    if let Some(worker) = worker
        && let Some(subnet) = worker.subnet_id.as_ref().filter(|subnet| may(&subnets, subnet))
    {
        let own: Vec<String> = worker.security_group_ids.iter().filter(|group| may(&groups, group)).cloned().collect();
        if groups.is_empty() || !own.is_empty() {
            return Ok((Some(subnet.clone()), own));
        }
    }
    if config.allowed_regions.len() > 1 && (subnets.len() > 1 || groups.len() > 1) {
        return Err(
            "the self-test found no worker that shows which allowed subnet and security group are of this region: \
             launch a worker and try again",
        );
    }
    Ok((subnets.into_iter().next(), groups.into_iter().take(1).collect()))
}

/// Whether an image has the architecture of the type. An image that does not name its architecture passes.
fn runs(kind: &str, image: &types::Image) -> bool {
    image.architecture().is_none_or(|of_image| match of_image.as_str() {
        "arm64" => is_graviton(kind),
        "x86_64" => !is_graviton(kind) && !kind.starts_with("mac"),
        _ => false,
    })
}

/// Whether a type has AWS's own `arm64` processors. By AWS's naming convention ("processor families") the name of such a
/// type has a `g` behind the generation; `a1` is older than the convention. `tests/aws` compares the rule with AWS's data
/// of every type.
fn is_graviton(kind: &str) -> bool {
    let family = kind.split('.').next().unwrap_or_default();
    let behind =
        family.trim_start_matches(|c: char| !c.is_ascii_digit()).trim_start_matches(|c: char| c.is_ascii_digit());
    family == "a1" || behind.split('-').next().is_some_and(|options| options.contains('g'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::limits::Limits;
    use crate::testing::clients_with;

    fn image(id: &str, architecture: &str) -> types::Image {
        types::Image::builder().image_id(id).architecture(architecture.into()).build()
    }

    fn config(types: &[&str], limits: Limits) -> Config {
        let clients = clients_with(&[], |config| {
            config.allowed_instance_types = types.iter().map(|pattern| wildmatch::WildMatch::new(pattern)).collect();
            config.limits = limits;
        });
        clients.config().clone()
    }

    fn chosen(types: &[&str], images: &[types::Image]) -> Result<(String, String), &'static str> {
        let launch = launch(&config(types, Limits::default()), images, None);
        launch.map(|(launch, image)| (launch.instance_type.to_string(), image.image_id))
    }

    #[test]
    fn image_and_type_have_one_architecture() {
        let both = [image("ami-0000000a", "arm64"), image("ami-0000000b", "x86_64")];
        let pair = |kind: &str, id: &str| Ok((kind.to_owned(), id.to_owned()));
        assert_eq!(chosen(&["c5.*", "c7g.*"], &both), pair("c5.large", "ami-0000000b"));
        assert_eq!(chosen(&["c5.*", "c7g.*"], &both[..1]), pair("c7g.large", "ami-0000000a"));
        assert!(chosen(&["c5.*"], &both[..1]).unwrap_err().contains("architecture"));
        // Few types run 32-bit images, and no type on which workers run does.
        let old = [image("ami-0000000c", "i386"), image("ami-0000000b", "x86_64")];
        assert_eq!(chosen(&["c5.*"], &old), pair("c5.large", "ami-0000000b"));
        assert!(chosen(&["c?.*"], &both).unwrap_err().contains("CML_ALLOWED_INSTANCE_TYPES"));
        assert!(chosen(&["c5.*"], &[]).unwrap_err().contains("no available image"));
    }

    #[test]
    fn g_behind_the_generation_is_graviton() {
        for (kind, graviton) in [
            ("a1.large", true),
            ("c7gn.large", true),
            ("im4gn.large", true),
            ("x2gd.metal", true),
            ("c5.large", false),
            ("g5.xlarge", false),
            ("g5g.xlarge", true),
            ("u-6tb1.metal", false),
            ("u7ib-12tb.224xlarge", false),
            ("m8i-flex.large", false),
        ] {
            assert_eq!(is_graviton(kind), graviton, "{kind}");
        }
    }

    /// The subnet and groups of the launch, with a worker in this subnet and group if there is one.
    fn where_to(
        limits: &Limits,
        regions: usize,
        worker: Option<(&str, &str)>,
    ) -> Result<(Option<String>, Vec<String>), &'static str> {
        let mut config = config(&["c5.*"], limits.clone());
        config.allowed_regions = vec![crate::testing::region(); regions];
        let none = crate::testing::read(&types::Instance::builder().build());
        let worker = worker.map(|(subnet, group)| Instance {
            subnet_id: Some(subnet.to_owned()),
            security_group_ids: vec![group.to_owned()],
            ..none
        });
        let (launch, _) = launch(&config, &[image("ami-0000000b", "x86_64")], worker.as_ref())?;
        assert!(config.limits.check_launch(&launch).is_ok());
        Ok((launch.subnet_id.map(|id| id.to_string()), texts(&launch.security_group_ids)))
    }

    #[test]
    fn the_launch_is_where_the_workers_are_and_within_the_limits() {
        let (east, west, other) = ("subnet-0123456789abcdef0", "subnet-0123456789abcdef1", "subnet-0123456789abcdef9");
        let (east_group, west_group, other_group) =
            ("sg-0123456789abcdef0", "sg-0123456789abcdef1", "sg-0123456789abcdef9");
        let subnet = |id: &str| id.to_owned().try_into().unwrap();
        let group = |id: &str| id.to_owned().try_into().unwrap();
        let limits = Limits {
            subnets: vec![subnet(east), subnet(west)],
            security_groups: vec![group(east_group), group(west_group)],
            ..Limits::default()
        };
        let placed = |subnet: &str, group: &str| Ok((Some(subnet.to_owned()), vec![group.to_owned()]));
        assert_eq!(where_to(&Limits::default(), 2, None), Ok((None, vec![])));
        assert_eq!(where_to(&Limits::default(), 2, Some((other, other_group))), placed(other, other_group));
        for regions in [1, 2] {
            assert_eq!(where_to(&limits, regions, Some((west, west_group))), placed(west, west_group));
        }
        // A worker that is older than the limits can be in a subnet or group that is not allowed.
        for worker in [None, Some((other, west_group)), Some((west, other_group))] {
            assert_eq!(where_to(&limits, 1, worker), placed(east, east_group));
            assert!(where_to(&limits, 2, worker).unwrap_err().contains("of this region"));
        }
    }
}
