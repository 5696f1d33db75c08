//! The launch that is asked about: one that this account can make.

use aws_sdk_ec2::types;
use serde_json::{Value, json};

use crate::config::Config;
use crate::image::LaunchImage;
use crate::input::Invalid;
use crate::instance::{Instance, InstanceType};
use crate::launch::{Launch, SecurityGroupId};

/// The launch of an image on a type of the same architecture, where the deployment's own workers are: an account without a
/// default VPC has no other subnet to offer.
///
/// # Errors
/// Why there is none to ask about.
pub(super) fn launch(
    config: &Config,
    images: &[types::Image],
    worker: Option<&Instance>,
) -> Result<(Launch, LaunchImage), &'static str> {
    if images.is_empty() {
        return Err("the account has no available image of its own to ask about");
    }
    let of_pattern = |pattern: String| InstanceType::try_from(pattern.replace('*', "large")).ok();
    let types = config.allowed_instance_types.iter().filter_map(|pattern| of_pattern(pattern.to_string()));
    let mut types = types.peekable();
    if types.peek().is_none() {
        return Err("no instance type can be made of CML_ALLOWED_INSTANCE_TYPES");
    }
    let fits = |kind: &InstanceType| images.iter().find(|image| runs(kind.as_str(), image));
    let (kind, image) = types
        .find_map(|kind| fits(&kind).map(|image| (kind, image)))
        .ok_or("no image of the account has the architecture of an allowed instance type")?;
    let body = body(config, &kind, worker);
    let launch =
        deserr::deserialize::<Launch, _, Invalid>(body).map_err(|_| "no launch can be made of the configuration")?;
    Ok((launch, LaunchImage::from_ec2(image)))
}

fn body(config: &Config, kind: &InstanceType, worker: Option<&Instance>) -> Value {
    let limits = &config.limits;
    let own = worker.and_then(|worker| worker.subnet_id.clone());
    let own = own.filter(|own| limits.subnets.is_empty() || limits.subnets.iter().any(|subnet| subnet.as_str() == own));
    let subnet = own.or_else(|| limits.subnets.first().map(ToString::to_string));
    let groups: Vec<&str> = limits.security_groups.iter().take(1).map(SecurityGroupId::as_str).collect();
    json!({
        "name": "permission-self-test", "instance_type": kind.as_str(), "subnet_id": subnet, "security_group_ids": groups,
    })
}

/// Whether an image is of the type's architecture; one that does not say may be.
fn runs(kind: &str, image: &types::Image) -> bool {
    image.architecture().is_none_or(|of_image| match of_image.as_str() {
        "arm64" => is_graviton(kind),
        "x86_64" | "i386" => !is_graviton(kind) && !kind.starts_with("mac"),
        _ => false,
    })
}

/// Whether a type has AWS's own processors, for `arm64`. AWS's naming: "processor families": `g`, behind the generation; `a1`
/// is older than the convention. `tests/aws` compares the rule with AWS's data of every type.
fn is_graviton(kind: &str) -> bool {
    let family = kind.split('.').next().unwrap_or_default();
    let behind =
        family.trim_start_matches(|c: char| !c.is_ascii_digit()).trim_start_matches(|c: char| c.is_ascii_digit());
    family == "a1" || behind.split('-').next().is_some_and(|options| options.contains('g'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Limits;
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

    #[test]
    fn the_launch_is_where_the_workers_are_and_within_the_limits() {
        let subnet = |id: &str| id.to_owned().try_into().unwrap();
        let worker = |id: &str| Instance {
            subnet_id: Some(id.to_owned()),
            ..Instance::from_ec2(
                &types::Instance::builder().build(),
                &crate::testing::region(),
                &clients_with(&[], |_| ()),
            )
        };
        let (first, second) = ("subnet-0123456789abcdef0", "subnet-0123456789abcdef1");
        let limits = Limits { subnets: vec![subnet(first), subnet(second)], ..Limits::default() };
        for (limits, of_worker, expected) in [
            (Limits::default(), None, None),
            (Limits::default(), Some("subnet-0123456789abcdef9"), Some("subnet-0123456789abcdef9")),
            (limits.clone(), Some(second), Some(second)),
            (limits.clone(), Some("subnet-0123456789abcdef9"), Some(first)),
            (limits, None, Some(first)),
        ] {
            let config = config(&["c5.*"], limits);
            let (launch, _) =
                launch(&config, &[image("ami-0000000b", "x86_64")], of_worker.map(worker).as_ref()).unwrap();
            assert!(config.limits.check_launch(&launch).is_ok());
            assert_eq!(launch.subnet_id.map(|id| id.to_string()).as_deref(), expected);
        }
    }
}
