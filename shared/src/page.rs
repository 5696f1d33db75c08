//! Page tokens: EC2's own, wrapped so that one cannot be used with other filters than it was made for.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::Error;
use crate::input::{Invalid, Refusal};
use crate::region::Region;

/// Tokens of another version are refused, not misread.
const VERSION: u8 = 1;

/// What a token holds: opaque to callers, readable to us.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, deserr::Deserr)]
#[deserr(error = Invalid, try_from(String) = Self::parse -> Refusal)]
#[serde(deny_unknown_fields)]
pub struct PageToken {
    version: u8,
    filters: String,
    token: String,
}

impl PageToken {
    fn parse(text: String) -> Result<Self, Refusal> {
        URL_SAFE_NO_PAD
            .decode(text)
            .ok()
            .and_then(|json| serde_json::from_slice::<Self>(&json).ok())
            .filter(|token| token.version == VERSION)
            .ok_or_else(|| Refusal("is not a token of this list".to_owned()))
    }
}

/// The pages of one list: a region and its filters.
#[derive(Debug)]
pub struct Pages {
    filters: String,
}

impl Pages {
    /// The pages of these filters.
    #[must_use]
    pub fn of(region: &Region, filters: &BTreeMap<String, Vec<String>>) -> Self {
        // Debug text quotes and escapes each part: no two filter sets write the same.
        let digest = Sha256::digest(format!("{region} {filters:?}"));
        Self { filters: URL_SAFE_NO_PAD.encode(digest.get(..12).unwrap_or_default()) }
    }

    /// EC2's token inside ours.
    ///
    /// # Errors
    /// [`InvalidRequest`](crate::error::Code::InvalidRequest) if it was made for another list.
    pub fn read(&self, token: Option<&PageToken>) -> Result<Option<String>, Error> {
        match token {
            None => Ok(None),
            Some(token) if token.filters == self.filters => Ok(Some(token.token.clone())),
            Some(_) => {
                Err(Invalid::field("next_token", "belongs to a list with another region or other filters").into())
            }
        }
    }

    /// Ours around EC2's.
    ///
    /// # Errors
    /// None that can happen: the token is three plain fields.
    pub fn write(&self, token: &str) -> Result<String, Error> {
        let token = PageToken { version: VERSION, filters: self.filters.clone(), token: token.to_owned() };
        serde_json::to_vec(&token)
            .map(|json| URL_SAFE_NO_PAD.encode(json))
            .map_err(|error| Error::new(crate::error::Code::AwsError, error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pages(region: &str, state: &str) -> Pages {
        let filters = BTreeMap::from([("instance-state-name".to_owned(), vec![state.to_owned()])]);
        Pages::of(&Region::try_from(region.to_owned()).unwrap(), &filters)
    }

    #[test]
    fn a_token_comes_back_for_the_same_list_only() {
        let list = pages("us-east-1", "running");
        let token = PageToken::parse(list.write("from-ec2").unwrap()).unwrap();
        assert_eq!(list.read(Some(&token)).unwrap().as_deref(), Some("from-ec2"));
        for other in [pages("us-west-2", "running"), pages("us-east-1", "stopped")] {
            assert_eq!(other.read(Some(&token)).unwrap_err().fields.errors()[0].field, "next_token");
        }
    }

    #[test]
    fn garbage_and_other_versions_are_refused() {
        let other_version = PageToken { version: 2, filters: String::new(), token: String::new() };
        let other_version = URL_SAFE_NO_PAD.encode(serde_json::to_vec(&other_version).unwrap());
        for bad in ["", "garbage", "{}", "e30", &other_version] {
            assert!(PageToken::parse(bad.to_owned()).is_err(), "{bad}");
        }
    }
}
