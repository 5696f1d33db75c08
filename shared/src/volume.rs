//! Volumes that a launch makes.

use aws_sdk_ec2::types::{BlockDeviceMapping, EbsBlockDevice, VolumeType as Ec2VolumeType};
use deserr::{Deserr, IntoValue, ValuePointerRef};

use crate::image::RootVolume;
use crate::input::{Invalid, checked_string};

/// How many volumes a launch may have beside the root volume: the device names `/dev/sdf` to `/dev/sdp`.
pub const MAX_EXTRA_VOLUMES: usize = 11;

/// What a volume shall be. Of the root volume, what is absent is as the image has it.
#[derive(Debug, Clone, Default, deserr::Deserr)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[deserr(error = Invalid, deny_unknown_fields, validate = consistent -> Invalid)]
pub struct Volume {
    /// Size in GiB; of the root volume, not below the image's.
    #[deserr(default)]
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 65535))]
    pub size_gib: Option<u16>,
    /// The volume type.
    #[deserr(default, rename = "type")]
    #[cfg_attr(feature = "openapi", schema(rename = "type"))]
    pub volume_type: Option<VolumeType>,
    /// Provisioned I/O operations a second.
    #[deserr(default)]
    #[cfg_attr(feature = "openapi", schema(maximum = 256000))]
    pub iops: Option<u32>,
    /// Provisioned MiB a second.
    #[deserr(default)]
    #[cfg_attr(feature = "openapi", schema(maximum = 65535))]
    pub throughput: Option<u16>,
    /// Encrypted unless given as false.
    #[deserr(default)]
    pub encrypted: Option<bool>,
    /// A customer managed key; the account's default key for EBS unless given.
    #[deserr(default)]
    pub kms_key_id: Option<KmsKeyId>,
    /// Goes with the instance unless given as false.
    #[deserr(default)]
    pub delete_on_termination: Option<bool>,
}

/// A volume beside the root volume: no image says how large it is.
#[derive(Debug, Clone)]
pub struct ExtraVolume(Volume);

impl Deserr<Invalid> for ExtraVolume {
    fn deserialize_from_value<V: IntoValue>(value: deserr::Value<V>, at: ValuePointerRef) -> Result<Self, Invalid> {
        let volume = Volume::deserialize_from_value(value, at)?;
        match volume.size_gib {
            Some(_) => Ok(Self(volume)),
            None => Err(Invalid::at(at.push_key("size_gib"), "is required")),
        }
    }
}

/// EBS's volume types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, deserr::Deserr)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(rename_all = "lowercase"))]
#[deserr(error = Invalid, rename_all = lowercase)]
#[expect(missing_docs, reason = "they are EBS's own names")]
pub enum VolumeType {
    Gp2,
    Gp3,
    Io1,
    Io2,
    Sc1,
    St1,
    Standard,
}

checked_string! {
    /// A KMS key: its id, alias or ARN.
    KmsKeyId,
    schema(pattern = r"^[A-Za-z0-9_:/-]{1,2048}$"),
    |id| {
        let known = |b: u8| b.is_ascii_alphanumeric() || b"-_:/".contains(&b);
        if (1..=2048).contains(&id.len()) && id.bytes().all(known) { Ok(()) } else { Err("must be a KMS key id, alias or ARN") }
    }
}

fn consistent(volume: Volume, at: ValuePointerRef) -> Result<Volume, Invalid> {
    use VolumeType::{Gp3, Io1, Io2};
    let mut invalid = Invalid::default();
    let mut refuse_if = |wrong: bool, field: &str, detail: &str| {
        if wrong {
            invalid.push(Invalid::at(at.push_key(field), detail));
        }
    };
    let kind = volume.volume_type;
    refuse_if(volume.size_gib == Some(0), "size_gib", "must be at least 1");
    refuse_if(
        volume.iops.is_some() && !matches!(kind, Some(Gp3 | Io1 | Io2)),
        "iops",
        "needs the type gp3, io1 or io2",
    );
    refuse_if(volume.iops.is_some_and(|iops| iops > 256_000), "iops", "must be at most 256000");
    refuse_if(
        volume.iops.is_none() && matches!(kind, Some(Io1 | Io2)),
        "iops",
        "is required for the types io1 and io2",
    );
    refuse_if(volume.throughput.is_some() && kind != Some(Gp3), "throughput", "needs the type gp3");
    let plain_with_key = volume.kms_key_id.is_some() && volume.encrypted == Some(false);
    refuse_if(plain_with_key, "kms_key_id", "must not be given with encrypted false");
    invalid.none_or(volume)
}

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
    /// As EC2 takes it; `size_gib` and `kind` are for what the caller left open.
    fn to_ec2(&self, size_gib: Option<i32>, kind: Option<VolumeType>) -> EbsBlockDevice {
        EbsBlockDevice::builder()
            .encrypted(self.encrypted.unwrap_or(true))
            .delete_on_termination(self.delete_on_termination.unwrap_or(true))
            .set_volume_size(self.size_gib.map(i32::from).or(size_gib))
            .set_volume_type(self.volume_type.or(kind).map(VolumeType::to_ec2))
            .set_iops(self.iops.map(|iops| i32::try_from(iops).unwrap_or(i32::MAX)))
            .set_throughput(self.throughput.map(i32::from))
            .set_kms_key_id(self.kms_key_id.clone().map(String::from))
            .build()
    }

    /// As the root volume on the image's device.
    #[must_use]
    pub fn as_root(&self, image: &RootVolume) -> BlockDeviceMapping {
        mapping(&image.device_name, self.to_ec2(image.size_gib, None))
    }
}

/// As the volumes beside the root volume, on `/dev/sdf` and on: the names that AWS recommends for EBS.
#[must_use]
pub fn beside_root(volumes: &[ExtraVolume]) -> Vec<BlockDeviceMapping> {
    let names = ('f'..='p').map(|letter| format!("/dev/sd{letter}"));
    names.zip(volumes).map(|(name, volume)| mapping(&name, volume.0.to_ec2(None, Some(VolumeType::Gp3)))).collect()
}

fn mapping(device_name: &str, ebs: EbsBlockDevice) -> BlockDeviceMapping {
    BlockDeviceMapping::builder().device_name(device_name).ebs(ebs).build()
}
