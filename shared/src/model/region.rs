//! AWS regions.

use crate::input::checked_string;

checked_string! {
    /// The code of an AWS region, such as `us-east-1`. `CML_ALLOWED_REGIONS` lists the regions that may be used.
    Region,
    schema(max_length = 32, pattern = r"^[a-z]+(-[a-z]+)+-[0-9]{1,2}$"),
    |text| {
        let parts: Vec<&str> = text.split('-').collect();
        let (words, number) = match parts.as_slice() {
            [words @ .., number] if words.len() >= 2 => (words, number),
            _ => return Err(MUST_BE),
        };
        let is_word = |word: &&str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase());
        let is_number = !number.is_empty() && number.len() <= 2 && number.bytes().all(|b| b.is_ascii_digit());
        if text.len() <= 32 && words.iter().all(is_word) && is_number { Ok(()) } else { Err(MUST_BE) }
    }
}

const MUST_BE: &str = "must be the code of an AWS region, such as us-east-1";

impl Region {
    /// Whether the region belongs to the standard partition `aws`, not to China, GovCloud or an isolated one.
    #[must_use]
    pub fn is_standard_partition(&self) -> bool {
        !["cn-", "us-gov-", "us-iso", "eu-isoe-", "eusc-"].iter().any(|other| self.as_str().starts_with(other))
    }
}
