//! Instance ids.

use crate::input::{checked_string, is_resource_id};

checked_string! {
    /// The id of an EC2 instance.
    InstanceId,
    schema(pattern = r"^i-([0-9a-f]{8}|[0-9a-f]{17})$"),
    |id| if is_resource_id(id, "i-") { Ok(()) } else { Err("must be i- followed by 8 or 17 hexadecimal digits") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_checked_where_they_enter() {
        for good in ["i-0123456789abcdef0", "i-12345678"] {
            assert!(InstanceId::try_from(good.to_owned()).is_ok(), "{good}");
        }
        for bad in [
            "",
            "i-",
            "i-123",
            "i-0123456789ABCDEF0",
            "i-0123456789abcdefg",
            "ami-12345678",
            "i-0123456789abcdef00",
            " i-12345678",
        ] {
            assert!(InstanceId::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }
}
