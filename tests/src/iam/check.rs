//! One thing that AWS asks the policies: may this action be done to this resource?

use std::collections::BTreeMap;
use std::fmt;

/// A single check.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Check {
    /// The ARN of who calls.
    pub principal: String,
    /// As in `ec2:RunInstances`.
    pub action: String,
    /// An ARN; `*` where the action knows no resource.
    pub resource: String,
    /// What AWS knows, by condition key.
    pub context: BTreeMap<String, Value>,
}

/// The value of a condition key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value {
    /// Text, a number, an ARN, an address.
    Text(String),
    /// Several texts, as of `aws:TagKeys`.
    Texts(Vec<String>),
    /// True or false.
    Flag(bool),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

impl Check {
    /// A check of nobody's call, with an empty context.
    pub fn new(action: impl Into<String>, resource: impl Into<String>) -> Self {
        Self { principal: String::new(), action: action.into(), resource: resource.into(), context: BTreeMap::new() }
    }

    /// With this condition key.
    #[must_use]
    pub fn with(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.context.insert(key.into(), value.into());
        self
    }

    /// With this condition key if there is a value: AWS leaves out what the request does not say.
    #[must_use]
    pub fn with_some(self, key: &str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.with(key, value),
            None => self,
        }
    }

    /// With the tags that the request asks for. Without tags both keys are absent.
    #[must_use]
    pub fn requesting(mut self, tags: &BTreeMap<String, String>) -> Self {
        if !tags.is_empty() {
            self = self.with("aws:TagKeys", Value::Texts(tags.keys().cloned().collect()));
        }
        tags.iter().fold(self, |check, (key, value)| check.with(format!("aws:RequestTag/{key}"), value.as_str()))
    }

    /// With the tags that the resource has.
    #[must_use]
    pub fn tagged(self, tags: &BTreeMap<String, String>) -> Self {
        tags.iter().fold(self, |check, (key, value)| {
            let check = check.with(format!("aws:ResourceTag/{key}"), value.as_str());
            check.with(format!("ec2:ResourceTag/{key}"), value.as_str())
        })
    }

    /// Made by this principal.
    #[must_use]
    pub fn by(mut self, principal: &str) -> Self {
        principal.clone_into(&mut self.principal);
        self.with("aws:PrincipalArn", principal)
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {} with {:?}", self.action, self.resource, self.context)
    }
}
