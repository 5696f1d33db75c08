//! Parameters of the role's policy that only the permission self-test reads.

use crate::config::variables::{listed, note};
use crate::input::is_account_id;

/// Which policy the role has: `hardened`, `guardrail` or `base`.
pub const CML_POLICY_MODE: &str = "CML_POLICY_MODE";
/// ARN of the workers' own role. It names the account and the prefix of the names of the roles that a launch may pass.
pub const CML_WORKER_ROLE_ARN: &str = "CML_WORKER_ROLE_ARN";
/// Accounts that share subnets and security groups with this one.
pub const CML_NETWORK_OWNERS: &str = "CML_NETWORK_OWNERS";
/// Customer managed keys that the role may use through EC2.
pub const CML_KMS_KEY_ARNS: &str = "CML_KMS_KEY_ARNS";

/// The parameters. Only the ARN of the workers' role tells which account this is.
#[derive(Debug, Clone, Default)]
pub struct Deployment {
    /// Whether the functions' role may pass the workers' role. The other modes refuse a launch with an instance profile.
    pub is_hardened: bool,
    /// The workers' own role.
    pub worker_role: Option<WorkerRole>,
    /// Accounts that share networks with this one.
    pub network_owners: Vec<String>,
    /// Customer managed keys, as ARNs.
    pub kms_key_arns: Vec<String>,
}

/// The role of the workers, from its ARN; its instance profile has the same name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerRole {
    /// The partition, such as `aws`.
    pub partition: String,
    /// The account.
    pub account_id: String,
    /// The name.
    pub name: String,
}

impl WorkerRole {
    fn parse(arn: &str) -> Option<Self> {
        let &["arn", partition, "iam", "", account_id, resource] = &arn.splitn(6, ':').collect::<Vec<_>>()[..] else {
            return None;
        };
        let name = resource.strip_prefix("role/").filter(|name| !name.is_empty())?;
        let of = str::to_owned;
        is_account_id(account_id).then(|| Self { partition: of(partition), account_id: of(account_id), name: of(name) })
    }
}

impl Deployment {
    /// Reads the variables that `variable` knows, and adds to `bad` what is wrong with them.
    pub(crate) fn read(variable: impl Fn(&str) -> Option<String>, bad: &mut Vec<String>) -> Option<Self> {
        let mode = note(CML_POLICY_MODE, mode(variable(CML_POLICY_MODE)), bad);
        let role = variable(CML_WORKER_ROLE_ARN).map(|arn| worker_role(&arn)).transpose();
        let worker_role = note(CML_WORKER_ROLE_ARN, role, bad);
        let owners = note(CML_NETWORK_OWNERS, listed(variable(CML_NETWORK_OWNERS), account), bad);
        let keys = note(CML_KMS_KEY_ARNS, listed(variable(CML_KMS_KEY_ARNS), key), bad);
        Some(Self { is_hardened: mode?, worker_role: worker_role?, network_owners: owners?, kms_key_arns: keys? })
    }
}

fn mode(text: Option<String>) -> Result<bool, String> {
    match text.as_deref() {
        None | Some("guardrail" | "base") => Ok(false),
        Some("hardened") => Ok(true),
        Some(other) => Err(format!("is {other:?} but must be hardened, guardrail or base")),
    }
}

fn worker_role(arn: &str) -> Result<WorkerRole, String> {
    WorkerRole::parse(arn).ok_or_else(|| format!("is {arn:?} but must be the ARN of a role"))
}

fn account(text: &str) -> Result<String, String> {
    if is_account_id(text) {
        Ok(text.to_owned())
    } else {
        Err(format!("has {text:?}, but each entry must be the id of an account"))
    }
}

fn key(arn: &str) -> Result<String, String> {
    let is_key = arn.starts_with("arn:") && arn.contains(":kms:") && arn.contains(":key/");
    if is_key { Ok(arn.to_owned()) } else { Err(format!("has {arn:?}, but each entry must be the ARN of a KMS key")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_says_partition_account_and_name() {
        let role = WorkerRole::parse("arn:aws-us-gov:iam::123456789012:role/CMLWorker-lab").unwrap();
        let parts = (role.partition.as_str(), role.account_id.as_str(), role.name.as_str());
        assert_eq!(parts, ("aws-us-gov", "123456789012", "CMLWorker-lab"));
        for bad in [
            "CMLWorker",
            "arn:aws:iam::1:role/a",
            "arn:aws:iam::123456789012:user/a",
            "arn:aws:iam::123456789012:role/",
        ] {
            assert_eq!(WorkerRole::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn every_bad_variable_is_told() {
        let mut bad = Vec::new();
        assert!(Deployment::read(|_| Some("me".to_owned()), &mut bad).is_none());
        let names: Vec<&str> = bad.iter().filter_map(|line| line.split(' ').next()).collect();
        assert_eq!(names, [CML_POLICY_MODE, CML_WORKER_ROLE_ARN, CML_NETWORK_OWNERS, CML_KMS_KEY_ARNS]);
        assert!(Deployment::read(|_| None, &mut Vec::new()).is_some_and(|read| read.worker_role.is_none()));
    }
}
