//! The volumes of a launch, as EC2 takes them.

use aws_sdk_ec2::types::{BlockDeviceMapping, EbsBlockDevice, VolumeType as Ec2VolumeType};

use crate::model::image::{ImageVolume, LaunchImage};
use crate::model::volume::{ExtraVolume, Volume, VolumeType};

impl VolumeType {
    fn to_ec2(self) -> Ec2VolumeType {
        match self {
            Self::Gp2 => Ec2VolumeType::Gp2,
            Self::Gp3 => Ec2VolumeType::Gp3,
            Self::Io1 => Ec2VolumeType::Io1,
            Self::Io2 => Ec2VolumeType::Io2,
            Self::Sc1 => Ec2VolumeType::Sc1,
            Self::St1 => Ec2VolumeType::St1,
            Self::Standard => Ec2VolumeType::Standard,
        }
    }
}

impl Volume {
    /// The volume as EC2 takes it; `size_gib` and `kind` are used if the caller gave none.
    fn to_ec2(&self, size_gib: Option<i32>, kind: Option<VolumeType>) -> EbsBlockDevice {
        EbsBlockDevice::builder()
            .encrypted(self.encrypted.unwrap_or(true))
            .delete_on_termination(self.delete_on_termination.unwrap_or(true))
            .set_volume_size(self.size_gib.or(size_gib))
            .set_volume_type(self.volume_type.or(kind).map(VolumeType::to_ec2))
            .set_iops(self.iops.map(|iops| i32::try_from(iops).unwrap_or(i32::MAX)))
            .set_throughput(self.throughput.map(i32::from))
            .set_kms_key_id(self.kms_key_id.clone().map(String::from))
            .build()
    }

    /// The volume as the root volume, on the image's device.
    fn as_root(&self, image: &ImageVolume) -> BlockDeviceMapping {
        mapping(&image.device_name, self.to_ec2(image.size_gib, None))
    }
}

/// The volumes of a launch: the image's root volume as the caller wants it, the image's other volumes encrypted, and the
/// caller's own.
#[must_use]
pub(super) fn of_launch(image: &LaunchImage, root: &Volume, extra: &[ExtraVolume]) -> Vec<BlockDeviceMapping> {
    let root = image.root.as_ref().map(|volume| root.as_root(volume));
    let plain = image.others.iter().filter(|volume| !volume.encrypted);
    let encrypted = plain.map(|volume| {
        let ebs = EbsBlockDevice::builder().encrypted(true).set_volume_size(volume.size_gib);
        mapping(&volume.device_name, ebs.build())
    });
    let own = free_names(image).zip(extra);
    let own = own.map(|(name, volume)| mapping(&name, volume.0.to_ec2(None, Some(VolumeType::Gp3))));
    root.into_iter().chain(encrypted).chain(own).collect()
}

/// The device names that AWS recommends for EBS, without those that the image uses itself.
pub(super) fn free_names(image: &LaunchImage) -> impl Iterator<Item = String> {
    let taken = image.others.iter().chain(&image.root).filter_map(|volume| letter(&volume.device_name));
    let taken: Vec<char> = taken.collect();
    ('f'..='p').filter(move |letter| !taken.contains(letter)).map(|letter| format!("/dev/sd{letter}"))
}

/// The letter of a device: `/dev/sdf` and `/dev/xvdf` are the same device.
fn letter(device_name: &str) -> Option<char> {
    device_name.strip_prefix("/dev/sd").or_else(|| device_name.strip_prefix("/dev/xvd"))?.chars().next()
}

fn mapping(device_name: &str, ebs: EbsBlockDevice) -> BlockDeviceMapping {
    BlockDeviceMapping::builder().device_name(device_name).ebs(ebs).build()
}
