//! Owners of images.

use crate::input::{checked_string, is_account_id};

checked_string! {
    /// The owner of images: `self`, an alias such as `amazon`, or an account id.
    Owner,
    schema(pattern = r"^(self|amazon|aws-backup-vault|aws-marketplace|[0-9]{12})$"),
    |owner| {
        if is_account_id(owner) || matches!(owner, "self" | "amazon" | "aws-backup-vault" | "aws-marketplace") { Ok(()) } else {
            Err("must be self, amazon, aws-backup-vault, aws-marketplace or an account id of 12 digits")
        }
    }
}

impl Default for Owner {
    fn default() -> Self {
        Self("self".to_owned())
    }
}
