//! Instance types.

use crate::input::checked_string;

checked_string! {
    /// An EC2 instance type, such as `c5.2xlarge`. EC2 decides which types exist.
    InstanceType,
    schema(max_length = 64, pattern = r"^[a-z0-9-]+\.[a-z0-9-]+$"),
    |name| {
        let is_part = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        let is_type = name.len() <= 64 && name.split_once('.').is_some_and(|(family, size)| is_part(family) && is_part(size));
        if is_type { Ok(()) } else { Err("must be an EC2 instance type, such as c5.2xlarge") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instance_types_have_a_family_and_a_size() {
        for good in ["c5.2xlarge", "m5zn.metal", "u-6tb1.112xlarge", "c8i.metal-48xl"] {
            assert!(InstanceType::try_from(good.to_owned()).is_ok(), "{good}");
        }
        for bad in ["", "c5", "c5.", ".large", "C5.large", "c5.large.x", "c5 .large", "*.large"] {
            assert!(InstanceType::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }
}
