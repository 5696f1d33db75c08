//! Configuration, read once from the environment.
//!
//! Settings of the AWS SDK keep their standard names (`AWS_REGION`, `AWS_ENDPOINT_URL`, `AWS_PROFILE`, `AWS_CA_BUNDLE` …).
//! Our own variables are:
//!
//! | variable | default | meaning |
//! |---|---|---|
//! | `CML_MANAGED_BY` | `cml-cloud-manager` | value of the tag `ManagedBy` on the instances that we manage |
//! | `CML_ALLOWED_REGIONS` | the function's own region | regions that may be read and changed, separated by commas |
//! | `CML_ALLOWED_INSTANCE_TYPES` | [`DEFAULT_INSTANCE_TYPES`] | patterns of types that may be launched, separated by commas |
//! | `CML_MAX_WORKERS` | no limit | the most managed instances that a region may have; further launches are refused |
//! | `CML_IMAGE_OWNERS` | `self` | owners whose images may be listed, separated by commas; `self` is always allowed |
//! | `CML_IMAGE_PARAMETER_ARNS` | none | parameters of Systems Manager that may name images, separated by commas; `*` and `?` are wildcards |
//! | `CML_ALLOWED_SUBNETS` | any | subnets for workers, separated by commas; if set, a launch must name one |
//! | `CML_ALLOWED_SECURITY_GROUPS` | any | security groups for workers, separated by commas; if set, a launch must name one |
//! | `CML_ALLOWED_KEY_NAMES` | any | patterns of key pairs that workers may be launched with, separated by commas |
//! | `CML_ALLOWED_TAG_KEYS` | any but our own | patterns of tag keys that callers may write besides `Name`, separated by commas |
//! | `CML_POLICY_MODE` | none | `hardened` if the role may pass the workers' role; the permission self-test then tests it, too |
//! | `CML_WORKER_ROLE_ARN` | none | the workers' role; it names the account in the statements that the permission self-test gives |
//! | `CML_NETWORK_OWNERS`, `CML_KMS_KEY_ARNS` | none | other values that those statements contain, separated by commas |
//! | `CML_ON_IDLE`, `CML_ON_IMPAIRED` | `off` | what the sweep does with idle and with impaired workers: `off`, `report` or `stop` |
//! | `CML_ON_ORPHAN` | `off` | what the sweep does with workers without a heartbeat: `off`, `report`, `stop` or `terminate` |
//! | `CML_IDLE_CPU_PERCENT`, `CML_IDLE_MINUTES` | 5, 60 | below which CPU utilization a worker is idle, and for how long it must be |
//! | `CML_GRACE_MINUTES` | 60 | for how long after its start a worker is neither idle nor an orphan |
//! | `CML_HEARTBEAT_MINUTES` | 30 | up to which age a heartbeat is a sign of life |
//! | `CML_MARK_MINUTES` | 4 | how much time must pass between the mark and the action |
//! | `CML_MOST_ACTIONS_PER_SWEEP`, `CML_MOST_ACTIONS_PER_HOUR` | 5, 10 | how many workers of a region are stopped and terminated at most |
//! | `CML_EVENT_BUS` | `default` | the event bus on which the sweep publishes each change of a worker |
//! | `CML_METRICS_NAMESPACE` | none | the namespace of the metrics that the functions write; without it they write none |
//! | `CML_ROLES_OF_PEOPLE` | none | roles whose sessions are people, besides `AWSReservedSSO_*`, separated by commas; `*` and `?` are wildcards |

pub mod deployment;
pub mod limits;
pub mod sweep;
mod variables;

use std::collections::BTreeSet;
use std::fmt;

use wildmatch::WildMatch;

use crate::config::deployment::Deployment;
use crate::config::limits::Limits;
use crate::config::sweep::Sweep;
use crate::config::variables::{list, listed, note, parsed, pattern};
use crate::error::Error;
use crate::input::Invalid;
use crate::model::image_parameter::Parameters;
use crate::model::instance_type::InstanceType;
use crate::model::owner::Owner;
use crate::model::region::Region;
use crate::model::tags::TagValue;

/// The region that Lambda runs the function in.
pub const AWS_REGION: &str = "AWS_REGION";
/// Value of the ownership tag.
pub const CML_MANAGED_BY: &str = "CML_MANAGED_BY";
/// Regions that may be used.
pub const CML_ALLOWED_REGIONS: &str = "CML_ALLOWED_REGIONS";
/// Instance types that may be launched.
pub const CML_ALLOWED_INSTANCE_TYPES: &str = "CML_ALLOWED_INSTANCE_TYPES";

/// How many managed instances a region may have.
pub const CML_MAX_WORKERS: &str = "CML_MAX_WORKERS";

/// Owners whose images may be listed.
pub const CML_IMAGE_OWNERS: &str = "CML_IMAGE_OWNERS";

/// Parameters that may name images.
pub const CML_IMAGE_PARAMETER_ARNS: &str = "CML_IMAGE_PARAMETER_ARNS";

/// Names of roles whose sessions are people.
pub const CML_ROLES_OF_PEOPLE: &str = "CML_ROLES_OF_PEOPLE";

/// The namespace of the metrics.
pub const CML_METRICS_NAMESPACE: &str = "CML_METRICS_NAMESPACE";

/// The roles of IAM Identity Center, whose sessions are named after the person who signed in.
const ROLES_OF_IDENTITY_CENTER: &str = "AWSReservedSSO_*";

/// Types that CML workers run on: compute and general purpose, with metal or 8th-generation Intel for nested virtual
/// machines.
pub const DEFAULT_INSTANCE_TYPES: &str = "c5.*,c6i.*,m5.*,m5zn.metal,c8i.*,m8i.*,r8i.*";

/// The configuration of one function.
#[derive(Debug, Clone)]
pub struct Config {
    /// The function's own region.
    pub region: Region,
    /// Value of the ownership tag.
    pub managed_by: String,
    /// Regions that may be used; never empty.
    pub allowed_regions: Vec<Region>,
    /// Types that may be launched, as patterns with `*` and `?`.
    pub allowed_instance_types: Vec<WildMatch>,
    /// How many managed instances a region may have.
    pub max_workers: Option<usize>,
    /// Owners whose images may be listed. The account's own images may always be listed.
    pub image_owners: Vec<Owner>,
    /// Parameters that may name images.
    pub image_parameters: Vec<Parameters>,
    /// Which subnets, security groups, key pairs and tag keys callers may name.
    pub limits: Limits,
    /// Parameters of the role's policy that only the permission self-test reads.
    pub deployment: Deployment,
    /// The rules of the sweep.
    pub sweep: Sweep,
    /// The namespace of the metrics, if the functions write any.
    pub metrics_namespace: Option<String>,
    /// Names of roles whose sessions are people, as patterns.
    pub roles_of_people: Vec<WildMatch>,
}

/// Every variable that is missing or wrong, in one line.
#[derive(Clone, PartialEq, Eq)]
pub struct ConfigError(Vec<String>);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "bad configuration: {}", self.0.join("; "))
    }
}

/// The line that Rust's runtime prints when `main` returns this error.
impl fmt::Debug for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for ConfigError {}

impl Config {
    /// Reads the process environment.
    ///
    /// # Errors
    /// [`ConfigError`] with every bad variable.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::read(|name| std::env::var(name).ok())
    }

    /// Reads the variables that `variable` knows.
    ///
    /// # Errors
    /// [`ConfigError`] with every bad variable.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let mut bad = Vec::new();
        Self::noting(variable, &mut bad).ok_or(ConfigError(bad))
    }

    /// Reads all variables, so that `bad` has everything that is wrong with them.
    fn noting(variable: impl Fn(&str) -> Option<String>, bad: &mut Vec<String>) -> Option<Self> {
        let region = variable(AWS_REGION).ok_or_else(|| "is not set".to_owned()).and_then(|text| region(&text));
        let region = note(AWS_REGION, region, bad);
        let managed_by = note(CML_MANAGED_BY, managed_by(variable(CML_MANAGED_BY)), bad);
        let allowed = note(CML_ALLOWED_REGIONS, listed(variable(CML_ALLOWED_REGIONS), parsed), bad);
        let types = variable(CML_ALLOWED_INSTANCE_TYPES).unwrap_or_else(|| DEFAULT_INSTANCE_TYPES.to_owned());
        let types = note(CML_ALLOWED_INSTANCE_TYPES, list(&types, instance_type_pattern), bad);
        let max_workers = variable(CML_MAX_WORKERS).map(|text| count(&text)).transpose();
        let max_workers = note(CML_MAX_WORKERS, max_workers, bad);
        let owners = variable(CML_IMAGE_OWNERS).unwrap_or_else(|| Owner::default().to_string());
        let owners = note(CML_IMAGE_OWNERS, list(&owners, parsed), bad);
        let parameters = listed(variable(CML_IMAGE_PARAMETER_ARNS), parameters);
        let parameters = note(CML_IMAGE_PARAMETER_ARNS, parameters, bad);
        let roles = note(CML_ROLES_OF_PEOPLE, listed(variable(CML_ROLES_OF_PEOPLE), role_pattern), bad);
        let namespace = variable(CML_METRICS_NAMESPACE).map(namespace).transpose();
        let namespace = note(CML_METRICS_NAMESPACE, namespace, bad);
        let limits = Limits::read(&variable, bad);
        let deployment = Deployment::read(&variable, bad);
        let sweep = Sweep::read(&variable, bad);
        let region = region?;
        Some(Self {
            allowed_regions: allowed
                .map(|regions| if regions.is_empty() { vec![region.clone()] } else { once(regions) })?,
            region,
            managed_by: managed_by?,
            allowed_instance_types: types?,
            max_workers: max_workers?,
            image_owners: owners?,
            image_parameters: parameters?,
            limits: limits?,
            deployment: deployment?,
            sweep: sweep?,
            metrics_namespace: namespace?,
            roles_of_people: [WildMatch::new(ROLES_OF_IDENTITY_CENTER)].into_iter().chain(roles?).collect(),
        })
    }

    /// Whether a type may be launched.
    #[must_use]
    pub fn allows(&self, instance_type: &InstanceType) -> bool {
        self.allowed_instance_types.iter().any(|pattern| pattern.matches(instance_type.as_str()))
    }

    /// Whether each session of this role belongs to one person.
    #[must_use]
    pub fn is_of_people(&self, role: &str) -> bool {
        self.roles_of_people.iter().any(|pattern| pattern.matches(role))
    }

    /// Refuses every owner except the account itself and the configured owners.
    ///
    /// # Errors
    /// [`InvalidRequest`](crate::error::Code::InvalidRequest) that names `owner` and the allowed owners.
    pub fn check_image_owner(&self, owner: &Owner) -> Result<(), Error> {
        let mut allowed = vec![Owner::default()];
        allowed.extend(self.image_owners.iter().filter(|owner| **owner != Owner::default()).cloned());
        if allowed.contains(owner) {
            return Ok(());
        }
        let allowed: Vec<&str> = allowed.iter().map(Owner::as_str).collect();
        let detail = format!("{owner} is not among the allowed owners: {}", allowed.join(", "));
        Err(Invalid::field("owner", detail).into())
    }
}

fn region(text: &str) -> Result<Region, String> {
    Region::try_from(text.to_owned()).map_err(|refusal| format!("is {text:?} but {}", refusal.0))
}

/// Each region once, in the order given.
fn once(regions: Vec<Region>) -> Vec<Region> {
    let mut seen = BTreeSet::new();
    regions.into_iter().filter(|region| seen.insert(region.clone())).collect()
}

fn managed_by(given: Option<String>) -> Result<String, String> {
    let value = given.unwrap_or_else(|| "cml-cloud-manager".to_owned());
    if value.is_empty() {
        return Err("must not be empty".to_owned());
    }
    TagValue::try_from(value).map(String::from).map_err(|refusal| format!("is not a valid tag value: {}", refusal.0))
}

fn count(text: &str) -> Result<usize, String> {
    text.parse()
        .ok()
        .filter(|count| *count > 0)
        .ok_or_else(|| format!("is {text:?} but must be a whole number above 0"))
}

fn instance_type_pattern(text: &str) -> Result<WildMatch, String> {
    if text.bytes().any(|b| b.is_ascii_uppercase()) {
        return Err(format!("has {text:?}, but no instance type has a capital letter: write each entry in lower case"));
    }
    pattern(text, ".-", "c5.*")
}

fn role_pattern(text: &str) -> Result<WildMatch, String> {
    pattern(text, "+=.@_-", "lab-*")
}

/// CloudWatch takes 1 to 255 characters of these, and no colon at the start; AWS's own namespaces begin with `AWS/`.
fn namespace(text: String) -> Result<String, String> {
    let is_known = |b: u8| b.is_ascii_alphanumeric() || b".-_/#: ".contains(&b);
    let is_good = (1..=255).contains(&text.len()) && text.bytes().all(is_known) && !text.starts_with(':');
    if is_good && !text.starts_with("AWS/") {
        return Ok(text);
    }
    Err(format!(
        "is {text:?} but must be 1 to 255 letters, digits and the characters .-_/#: and must not begin with AWS/ or :"
    ))
}

fn parameters(arn: &str) -> Result<Parameters, String> {
    Parameters::parse(arn)
        .ok_or_else(|| format!("has {arn:?}, but each entry must be the ARN of a parameter with a path"))
}

#[cfg(test)]
mod tests;
