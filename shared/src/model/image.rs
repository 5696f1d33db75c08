//! Machine images (AMIs): how requests name them and how answers show them.

use std::cmp::Reverse;

use aws_sdk_ec2::types::{self, BlockDeviceMapping, DeviceType};
use serde::Serialize;

use crate::input::{Invalid, Refusal, checked_string, is_resource_id};
use crate::model::document::Document;
use crate::model::image_parameter::{self, ParameterName};

checked_string! {
    /// The id of an AMI.
    ImageId,
    schema(pattern = r"^ami-([0-9a-f]{8}|[0-9a-f]{17})$"),
    |id| if is_resource_id(id, "ami-") { Ok(()) } else { Err("must be ami- followed by 8 or 17 hexadecimal digits") }
}

checked_string! {
    /// The name of an AMI, as EC2 allows it.
    ImageName,
    schema(pattern = r"^[A-Za-z0-9()\[\] ./'@_-]{3,128}$"),
    |name| {
        let length = name.chars().count();
        let known = |c: char| c.is_ascii_alphanumeric() || "()[] ./-'@_".contains(c);
        if (3..=128).contains(&length) && name.chars().all(known) { Ok(()) } else {
            Err("must be an AMI name: 3 to 128 letters, digits, spaces or ()[]./-'@_")
        }
    }
}

checked_string! {
    /// The name of an AMI, or a pattern of names with `*` and `?`.
    ImageNamePattern,
    schema(pattern = r"^[A-Za-z0-9()\[\] ./'@_*?-]{1,128}$"),
    |name| {
        let length = name.chars().count();
        let known = |c: char| c.is_ascii_alphanumeric() || "()[] ./-'@_*?".contains(c);
        if (1..=128).contains(&length) && name.chars().all(known) { Ok(()) } else {
            Err("must be an AMI name or a pattern: 1 to 128 letters, digits, spaces or ()[]./-'@_*?")
        }
    }
}

/// An image, from EC2's `Image`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Image {
    /// The id, for example `ami-0123456789abcdef0`.
    pub image_id: String,
    /// The name its owner gave it.
    pub name: Option<String>,
    /// The description its owner gave it.
    pub description: Option<String>,
    /// The owner's account id.
    pub owner_id: Option<String>,
    /// When the image was created, RFC 3339 in UTC.
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    pub creation_date: Option<String>,
    /// The architecture, for example `x86_64`.
    pub architecture: Option<String>,
    /// `available`, or EC2's word for why the image is not available.
    pub state: Option<String>,
    /// Whether its deprecation time has passed.
    pub deprecated: bool,
}

/// One page of images: the newest first, deprecated ones last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Images {
    /// The images.
    pub images: Vec<Image>,
    /// The `next_token` to send for the next page; `null` on the last page.
    pub next_token: Option<String>,
}

impl Document for Images {}

impl Image {
    /// Reads EC2's image; `now` is RFC 3339 in UTC.
    #[must_use]
    pub fn from_ec2(image: &types::Image, now: &str) -> Self {
        let text = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(str::to_owned);
        Self {
            image_id: image.image_id().unwrap_or_default().to_owned(),
            name: text(image.name()),
            description: text(image.description()),
            owner_id: text(image.owner_id()),
            creation_date: text(image.creation_date()),
            architecture: image.architecture().map(|architecture| architecture.as_str().to_owned()),
            state: image.state().map(|state| state.as_str().to_owned()),
            // Both times are RFC 3339 in UTC, so their texts sort as the times do.
            deprecated: image.deprecation_time().is_some_and(|time| time <= now),
        }
    }
}

/// How a launch names its image.
#[derive(Debug, Clone, PartialEq, Eq, deserr::Deserr)]
#[deserr(error = Invalid, try_from(String) = Self::named -> Refusal)]
pub enum ImageChoice {
    /// By id.
    Id(ImageId),
    /// By name, among the account's own images.
    Name(ImageName),
    /// By a parameter that holds its id.
    Parameter(ParameterName),
}

impl ImageChoice {
    /// Reads an `image_name`: the name of an AMI, or `ssm:` and the name of a parameter.
    fn named(text: String) -> Result<Self, Refusal> {
        match text.strip_prefix(image_parameter::PREFIX) {
            Some(name) => ParameterName::try_from(name.to_owned()).map(Self::Parameter),
            None => ImageName::try_from(text).map(Self::Name),
        }
    }
}

/// An image that was found for a launch.
#[derive(Debug, Clone)]
pub struct LaunchImage {
    /// The id.
    pub image_id: String,
    /// The name.
    pub name: Option<String>,
    /// The root volume; none if it is not an EBS volume.
    pub root: Option<ImageVolume>,
    /// The other EBS volumes.
    pub others: Vec<ImageVolume>,
}

/// An EBS volume that an image brings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageVolume {
    /// The name of the device that it is attached as. A launch uses this name to encrypt the volume.
    pub device_name: String,
    /// Its size in GiB.
    pub size_gib: Option<i32>,
    /// Whether it is encrypted in the image.
    pub encrypted: bool,
}

impl LaunchImage {
    /// Reads EC2's image.
    #[must_use]
    pub fn from_ec2(image: &types::Image) -> Self {
        Self {
            image_id: image.image_id().unwrap_or_default().to_owned(),
            name: image.name().map(str::to_owned),
            root: ImageVolume::root(image),
            others: image
                .block_device_mappings()
                .iter()
                .filter(|device| device.device_name() != image.root_device_name())
                .filter_map(ImageVolume::from_ec2)
                .collect(),
        }
    }
}

impl ImageVolume {
    /// Reads the root volume. EC2 also names a root device for images whose root is not on EBS; they get none.
    fn root(image: &types::Image) -> Option<Self> {
        let name = image.root_device_name().filter(|_| image.root_device_type() != Some(&DeviceType::InstanceStore))?;
        let device = image.block_device_mappings().iter().find(|device| device.device_name() == Some(name));
        let unsaid = || Self { device_name: name.to_owned(), size_gib: None, encrypted: false };
        Some(device.and_then(Self::from_ec2).unwrap_or_else(unsaid))
    }

    /// Reads EC2's device; none if it is not an EBS volume.
    fn from_ec2(device: &BlockDeviceMapping) -> Option<Self> {
        let (device_name, ebs) = (device.device_name()?.to_owned(), device.ebs()?);
        Some(Self { device_name, size_gib: ebs.volume_size(), encrypted: ebs.encrypted() == Some(true) })
    }
}

/// Sorts the newest images first and deprecated ones last. Images of the same moment are sorted by id, so that the order is
/// the same each time.
pub fn sort_newest_first(images: &mut [Image]) {
    images.sort_by_cached_key(|image| (image.deprecated, Reverse(image.creation_date.clone()), image.image_id.clone()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_not_a_pattern() {
        assert!(ImageName::try_from("cml-2.8.1-*".to_owned()).is_err());
        assert!(ImageNamePattern::try_from("cml-2.8.1-*".to_owned()).is_ok());
        assert!(ImageName::try_from("cml-2.8.1-worker".to_owned()).is_ok());
        assert!(ImageName::try_from("ab".to_owned()).is_err());
    }

    #[test]
    fn an_image_without_ebs_has_no_root_volume() {
        let image = |kind: DeviceType| {
            let image = types::Image::builder().root_device_name("/dev/sda1").root_device_type(kind).build();
            LaunchImage::from_ec2(&image).root.map(|root| root.device_name)
        };
        assert_eq!(image(DeviceType::Ebs), Some("/dev/sda1".to_owned()));
        assert_eq!(image(DeviceType::InstanceStore), None);
    }

    #[test]
    fn deprecation_is_a_matter_of_time() {
        let image = types::Image::builder().deprecation_time("2026-01-01T00:00:00.000Z").build();
        assert!(Image::from_ec2(&image, "2026-06-01T00:00:00Z").deprecated);
        assert!(!Image::from_ec2(&image, "2025-06-01T00:00:00Z").deprecated);
        assert!(!Image::from_ec2(&types::Image::builder().build(), "2026-06-01T00:00:00Z").deprecated);
    }

    #[test]
    fn deprecated_images_come_last_however_new() {
        let image = |id: &str, date: &str, deprecated: &str| {
            let image = types::Image::builder().image_id(id).creation_date(date).deprecation_time(deprecated).build();
            Image::from_ec2(&image, "2026-06-01T00:00:00Z")
        };
        let mut images = vec![
            image("ami-old-gone", "2025-01-01", "2026-01-01"),
            image("ami-old", "2025-02-01", "2027-01-01"),
            image("ami-new-gone", "2026-03-01", "2026-05-01"),
            image("ami-new", "2026-02-01", "2028-01-01"),
        ];
        sort_newest_first(&mut images);
        let order: Vec<_> = images.iter().map(|image| (image.image_id.as_str(), image.deprecated)).collect();
        let expected = [("ami-new", false), ("ami-old", false), ("ami-new-gone", true), ("ami-old-gone", true)];
        assert_eq!(order, expected);
    }

    #[test]
    fn images_of_one_moment_keep_their_order() {
        let image = |id: &str, date: &str| {
            Image::from_ec2(&types::Image::builder().image_id(id).creation_date(date).build(), "")
        };
        let mut images = vec![image("ami-b", "2026-01-01"), image("ami-a", "2026-01-01"), image("ami-c", "2026-02-01")];
        sort_newest_first(&mut images);
        assert_eq!(images.iter().map(|i| i.image_id.as_str()).collect::<Vec<_>>(), ["ami-c", "ami-a", "ami-b"]);
    }
}
