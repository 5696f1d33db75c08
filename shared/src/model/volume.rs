//! Volumes that a launch creates.

use deserr::{Deserr, IntoValue, ValuePointerRef};
use serde_json::Value;

use crate::input::{Invalid, Refusal, both, checked_string};

/// How many volumes a launch may have besides the root volume: one for each device name from `/dev/sdf` to `/dev/sdp`.
pub const MAX_EXTRA_VOLUMES: usize = 11;

/// The properties of a volume. The root volume takes absent ones from the image.
#[derive(Debug, Clone, Default, PartialEq, Eq, deserr::Deserr)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[deserr(error = Invalid, deny_unknown_fields)]
pub struct Volume {
    /// Size in GiB. A root volume must not be smaller than the image's.
    #[deserr(default, try_from(Option<u32>) = gib -> Refusal)]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<u32>, minimum = 1, maximum = 65536))]
    pub size_gib: Option<i32>,
    /// The volume type.
    #[deserr(default, rename = "type")]
    #[cfg_attr(feature = "openapi", schema(rename = "type"))]
    pub volume_type: Option<VolumeType>,
    /// Provisioned I/O operations per second.
    #[deserr(default, try_from(Option<u32>) = at_most_256_000 -> Refusal)]
    #[cfg_attr(feature = "openapi", schema(maximum = 256000))]
    pub iops: Option<u32>,
    /// Provisioned throughput in MiB per second.
    #[deserr(default)]
    #[cfg_attr(feature = "openapi", schema(maximum = 65535))]
    pub throughput: Option<u16>,
    /// Whether the volume is encrypted; true by default.
    #[deserr(default)]
    pub encrypted: Option<bool>,
    /// The customer managed key that encrypts the volume; by default the account's default key for EBS.
    #[deserr(default)]
    pub kms_key_id: Option<KmsKeyId>,
    /// Whether the volume is deleted with the instance; true by default.
    #[deserr(default)]
    pub delete_on_termination: Option<bool>,
}

/// A volume besides the root volume. Its size is required, because no image has one for it.
#[derive(Debug, Clone)]
pub struct ExtraVolume(pub(crate) Volume);

impl Deserr<Invalid> for ExtraVolume {
    fn deserialize_from_value<V: IntoValue>(value: deserr::Value<V>, at: ValuePointerRef) -> Result<Self, Invalid> {
        let value = Value::deserialize_from_value(value, at)?;
        let has_size = match value.get("size_gib") {
            None | Some(Value::Null) if value.is_object() => Err(Invalid::at(at.push_key("size_gib"), "is required")),
            _ => Ok(()),
        };
        both(Volume::deserialize_from_value(value.into_value(), at), has_size).map(|(volume, ())| Self(volume))
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

/// The largest volume of any type, in GiB.
const MAX_GIB: u32 = 65_536;

fn gib(size: Option<u32>) -> Result<Option<i32>, Refusal> {
    let Some(size) = size else { return Ok(None) };
    let size = i32::try_from(size).ok().filter(|_| (1..=MAX_GIB).contains(&size));
    size.map(Some).ok_or_else(|| Refusal(format!("must be 1 to {MAX_GIB}")))
}

fn at_most_256_000(iops: Option<u32>) -> Result<Option<u32>, Refusal> {
    if iops.is_some_and(|iops| iops > 256_000) {
        return Err(Refusal("must be at most 256000".to_owned()));
    }
    Ok(iops)
}
