//! Subnets and security groups.

use crate::input::{checked_string, is_resource_id};

checked_string! {
    /// The id of a subnet.
    SubnetId,
    schema(pattern = r"^subnet-([0-9a-f]{8}|[0-9a-f]{17})$"),
    |id| if is_resource_id(id, "subnet-") { Ok(()) } else {
        Err("must be subnet- followed by 8 or 17 hexadecimal digits")
    }
}

checked_string! {
    /// The id of a security group.
    SecurityGroupId,
    schema(pattern = r"^sg-([0-9a-f]{8}|[0-9a-f]{17})$"),
    |id| if is_resource_id(id, "sg-") { Ok(()) } else { Err("must be sg- followed by 8 or 17 hexadecimal digits") }
}
