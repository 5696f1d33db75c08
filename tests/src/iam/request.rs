//! A request to AWS, reduced to what permissions depend on.

use std::collections::{BTreeMap, BTreeSet};

use crate::stub::Recorded;

/// A request. One is recorded from the functions; another is made from it by changing what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The service's prefix in action names, as in `ec2`.
    pub service: String,
    /// The operation in AWS's name, as in `RunInstances`.
    pub action: String,
    /// The region it is sent to.
    pub region: String,
    /// Its parameters in the words of the EC2 query protocol.
    pub params: BTreeMap<String, String>,
}

impl From<&Recorded> for Request {
    fn from(recorded: &Recorded) -> Self {
        // Only EC2 sends a form.
        let service = if recorded.params.is_empty() { "cloudwatch" } else { "ec2" };
        Self {
            service: service.to_owned(),
            action: recorded.action.clone(),
            region: recorded.region.clone().unwrap_or_default(),
            params: recorded.params.clone(),
        }
    }
}

impl Request {
    /// The same parameters for another operation of the service.
    #[must_use]
    pub fn as_action(mut self, action: &str) -> Self {
        action.clone_into(&mut self.action);
        self
    }

    /// The same request to another region.
    #[must_use]
    pub fn in_region(mut self, region: &str) -> Self {
        region.clone_into(&mut self.region);
        self
    }

    /// With this parameter, instead of the one that has its name.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.params.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Without the parameter of this name and those below it: `TagSpecification.1` takes `TagSpecification.1.Tag.2.Key` too.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.params.retain(|param, _| param.strip_prefix(name).is_some_and(is_longer_name) || !param.starts_with(name));
        self
    }

    /// With each parameter that has the one value having the other.
    #[must_use]
    pub fn replacing(mut self, value: &str, by: &str) -> Self {
        self.params.values_mut().filter(|known| *known == value).for_each(|known| by.clone_into(known));
        self
    }

    /// The value of a parameter.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params.get(name).map(String::as_str)
    }

    /// The names `list.1`, `list.2` … of a list's elements. EC2 takes lists with gaps.
    pub fn elements(&self, list: &str) -> Vec<String> {
        let prefix = format!("{list}.");
        let indices = self.params.keys().filter_map(|name| name.strip_prefix(&prefix)?.split('.').next()?.parse().ok());
        indices.collect::<BTreeSet<u32>>().iter().map(|index| format!("{prefix}{index}")).collect()
    }

    /// The values of a list of plain values, as of `InstanceId`.
    pub fn values(&self, list: &str) -> Vec<&str> {
        self.elements(list).iter().filter_map(|element| self.param(element)).collect()
    }

    /// The tags below a name: `Tag.1.Key` and `Tag.1.Value` for the empty one. A tag without a value has the empty one.
    pub fn tags(&self, below: &str) -> BTreeMap<String, String> {
        let tag = |element: &String| {
            let key = self.param(&format!("{element}.Key"))?;
            Some((key.to_owned(), self.param(&format!("{element}.Value")).unwrap_or_default().to_owned()))
        };
        self.elements(&format!("{below}Tag")).iter().filter_map(tag).collect()
    }
}

/// Whether what follows a name makes it another name: `TagSpecification.1` is not the beginning of `TagSpecification.12`.
fn is_longer_name(rest: &str) -> bool {
    !rest.is_empty() && !rest.starts_with('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> Request {
        let (service, action, region) = ("ec2".to_owned(), "RunInstances".to_owned(), "us-east-1".to_owned());
        let request = Request { service, action, region, params: BTreeMap::new() };
        request.with("Tag.1.Key", "a").with("Tag.1.Value", "b").with("Tag.3.Key", "c").with("Tag.12.Key", "d")
    }

    #[test]
    fn tags_are_read_across_gaps_and_without_values() {
        let tags = [("a", "b"), ("c", ""), ("d", "")].map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(request().tags(""), BTreeMap::from(tags));
    }

    #[test]
    fn taking_an_element_away_leaves_those_whose_number_begins_like_it() {
        assert_eq!(request().without("Tag.1").elements("Tag"), ["Tag.3", "Tag.12"]);
    }
}
