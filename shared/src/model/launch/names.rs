//! The names, ids and texts that a launch is made of.

use std::net::Ipv4Addr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::input::{checked_string, is_account_id, is_resource_id};

/// The most bytes of user data that EC2 accepts, before base64.
pub const MAX_USER_DATA_BYTES: usize = 16 * 1024;

checked_string! {
    /// The name of a worker: the tag `Name`.
    WorkerName,
    schema(pattern = r"^[^\x00-\x1F\x7F-\x9F]{1,256}$"),
    |name| {
        let length = name.chars().count();
        if (1..=256).contains(&length) && !name.chars().any(char::is_control) { Ok(()) } else {
            Err("must have 1 to 256 characters and no control characters")
        }
    }
}

checked_string! {
    /// The id of a dedicated host.
    HostId,
    schema(pattern = r"^h-([0-9a-f]{8}|[0-9a-f]{17})$"),
    |id| if is_resource_id(id, "h-") { Ok(()) } else { Err("must be h- followed by 8 or 17 hexadecimal digits") }
}

checked_string! {
    /// The id of a capacity reservation.
    CapacityReservationId,
    schema(pattern = r"^cr-([0-9a-f]{8}|[0-9a-f]{17})$"),
    |id| if is_resource_id(id, "cr-") { Ok(()) } else { Err("must be cr- followed by 8 or 17 hexadecimal digits") }
}

checked_string! {
    /// The name of a key pair.
    KeyName,
    schema(pattern = r"^[ -~]{1,255}$"),
    |name| if is_printable(name, 255) { Ok(()) } else { Err("must have 1 to 255 printable ASCII characters") }
}

checked_string! {
    /// The name of a placement group.
    PlacementGroup,
    schema(pattern = r"^[ -~]{1,255}$"),
    |name| if is_printable(name, 255) { Ok(()) } else { Err("must have 1 to 255 printable ASCII characters") }
}

checked_string! {
    /// An availability zone, such as `us-east-1a`.
    AvailabilityZone,
    schema(pattern = r"^[a-z0-9-]{4,40}$"),
    |name| {
        let known = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if (4..=40).contains(&name.len()) && name.bytes().all(known) { Ok(()) } else {
            Err("must be an availability zone, such as us-east-1a")
        }
    }
}

checked_string! {
    /// An instance profile: its name, or its ARN.
    InstanceProfile,
    schema(pattern = r"^([A-Za-z0-9+=,.@_-]{1,128}|arn:[a-z-]+:iam::[0-9]{12}:instance-profile/[A-Za-z0-9+=,.@_/-]{1,600})$"),
    |profile| {
        let known = |b: u8| b.is_ascii_alphanumeric() || b"+=,.@-_".contains(&b);
        let is_name = |name: &str| (1..=128).contains(&name.len()) && name.bytes().all(known);
        let is_path = |path: &str| (1..=600).contains(&path.len()) && path.bytes().all(|b| known(b) || b == b'/');
        let is_partition = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
        let is_profile = match profile.splitn(6, ':').collect::<Vec<_>>()[..] {
            ["arn", partition, "iam", "", account, resource] => {
                let path = resource.strip_prefix("instance-profile/");
                is_partition(partition) && is_account_id(account) && path.is_some_and(is_path)
            }
            _ => is_name(profile),
        };
        if is_profile { Ok(()) } else { Err("must be the name or the ARN of an instance profile") }
    }
}

checked_string! {
    /// User data as plain text.
    UserData,
    schema(max_length = 16384),
    |text| if text.len() <= MAX_USER_DATA_BYTES { Ok(()) } else { Err("must have at most 16384 bytes") }
}

checked_string! {
    /// User data in base64, for bytes that a JSON string cannot carry, such as the gzip of CML's own cloud-init.
    UserDataBase64,
    schema(max_length = 21848, pattern = r"^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$"),
    |text| match STANDARD.decode(text) {
        Ok(bytes) if bytes.len() <= MAX_USER_DATA_BYTES => Ok(()),
        Ok(_) => Err("must have at most 16384 bytes once it is decoded"),
        Err(_) => Err("must be base64: letters, digits, + and /, padded with = to a multiple of four characters"),
    }
}

checked_string! {
    /// A private IPv4 address.
    PrivateIp,
    schema(pattern = r"^([1-9][0-9]?|1[01][0-9]|12[0-689]|1[3-9][0-9]|2[01][0-9]|22[0-3]|24[0-9]|25[0-5])(\.(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])){3}$"),
    |text| match text.parse::<Ipv4Addr>() {
        // No VPC can have addresses in 0.0.0.0/8, 127.0.0.0/8 or 224.0.0.0/4.
        Ok(ip) if ip.octets()[0] != 0 && !ip.is_loopback() && !ip.is_multicast() => Ok(()),
        _ => Err("must be an IPv4 address of the subnet"),
    }
}

checked_string! {
    /// The highest price to pay for a spot instance, in dollars per hour.
    MaxPrice,
    schema(max_length = 16, pattern = r"^([0-9]*[1-9][0-9]*(\.[0-9]*)?|[0-9]*\.[0-9]*[1-9][0-9]*)$"),
    |text| {
        let is_decimal = text.bytes().all(|b| b.is_ascii_digit() || b == b'.') && text.len() <= 16;
        if is_decimal && text.parse::<f64>().is_ok_and(|price| price > 0.0) { Ok(()) } else {
            Err("must be a price in dollars per hour, written as a decimal string such as \"0.25\"")
        }
    }
}

fn is_printable(text: &str, most: usize) -> bool {
    (1..=most).contains(&text.len()) && text.bytes().all(|b| (b' '..=b'~').contains(&b))
}
