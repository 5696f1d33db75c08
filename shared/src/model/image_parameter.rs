//! Images named by a parameter of Systems Manager: `image_name: "ssm:/cml/worker-image"`.
//!
//! The builder of images writes the id of the newest one into the parameter, so that callers need not know the id. Two lists
//! say which parameters may be read: `CML_IMAGE_PARAMETER_ARNS`, and the role's policy, which names the same ones.

use wildmatch::WildMatch;

use crate::input::checked_string;
use crate::model::region::Region;

/// The prefix of an `image_name` that names a parameter.
pub(crate) const PREFIX: &str = "ssm:";

checked_string! {
    /// The name of a parameter, such as `/cml/worker-image`: a path, as Systems Manager allows it.
    ParameterName,
    schema(max_length = 1011, pattern = r"^(/[A-Za-z0-9_.-]+){1,15}$"),
    |name| {
        let known = |b: u8| b.is_ascii_alphanumeric() || b"_.-/".contains(&b);
        let parts: Vec<&str> = name.split('/').skip(1).collect();
        let is_path = name.starts_with('/') && parts.len() <= 15 && parts.iter().all(|part| !part.is_empty());
        if is_path && name.len() <= 1011 && name.bytes().all(known) { Ok(()) } else {
            Err("must be ssm: followed by the path of a parameter, such as ssm:/cml/worker-image")
        }
    }
}

/// Parameters that may name images, by their ARN: `arn:aws:ssm:us-east-1:123456789012:parameter/cml/*`. The name may have
/// wildcards. The account is not checked here, because the role's policy names the same ARNs.
#[derive(Debug, Clone)]
pub struct Parameters {
    arn: String,
    region: String,
    name: WildMatch,
}

impl Parameters {
    /// Reads an ARN; none if it is not the ARN of a parameter with a path.
    #[must_use]
    pub fn parse(arn: &str) -> Option<Self> {
        let (place, name) = arn.split_once(":parameter/")?;
        let parts: Vec<&str> = place.split(':').collect();
        let &["arn", _, "ssm", region, _] = &parts[..] else { return None };
        Some(Self { arn: arn.to_owned(), region: region.to_owned(), name: WildMatch::new(&format!("/{name}")) })
    }

    /// The ARN as given.
    #[must_use]
    pub fn arn(&self) -> &str {
        &self.arn
    }

    /// An example of a name that the ARN covers, if the ARN is of this region.
    pub(crate) fn example_in(&self, region: &Region) -> Option<ParameterName> {
        let name = self.name.to_string().replace(['*', '?'], "x");
        ParameterName::try_from(name).ok().filter(|name| self.has(region, name))
    }

    /// Whether the ARN covers this parameter.
    pub(crate) fn has(&self, region: &Region, name: &ParameterName) -> bool {
        self.region == region.as_str() && self.name.matches(name.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_path() {
        for good in ["/cml", "/cml/worker-image", "/a.b/c_d/0"] {
            assert!(ParameterName::try_from(good.to_owned()).is_ok(), "{good}");
        }
        let (deep, long) = ("/a".repeat(16), format!("/{}", "a".repeat(1011)));
        for bad in ["", "/", "cml", "/cml/", "//cml", "/cml:3", "/cml/*", "/ü", &deep, &long] {
            assert!(ParameterName::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }
}
