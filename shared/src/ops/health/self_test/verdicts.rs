//! What the answers of AWS say about the permissions of the role.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::config::Config;
use crate::error::{DeniedBy, Error};
use crate::model::operation::Operation;
use crate::model::region::Region;
use crate::ops::health::self_test::remedy;
use crate::ops::{OPERATIONS, SCHEDULED};

/// Whether the role may carry out an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// AWS allows it.
    Allowed,
    /// AWS denies it.
    Denied,
    /// AWS could not be asked, or its answer was about something else; the reason says which.
    Unknown,
}

/// The verdict about one action in one region.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Permission {
    /// The IAM action.
    pub action: String,
    /// The region in which it was tried.
    pub region: String,
    /// Whether the role may carry out an action.
    pub verdict: Verdict,
    /// For a denied or unknown action: AWS's message, or why AWS could not be asked.
    pub reason: Option<String>,
    /// For a denied action: whether no policy allows the action or a policy denies it, if AWS says so.
    pub denied_by: Option<DeniedBy>,
    /// For a denied action: the operations that do not work without the action; the list is empty if only options of a
    /// launch need the action.
    pub broken_operations: Vec<&'static str>,
    /// For a denied action: the statements of the hardened policy to add to the role's policy. The statements help only if
    /// no policy denies the action explicitly. The list is empty if the configuration does not name the account.
    pub policy_statements: Vec<Value>,
}

/// A role whose permissions are tried: the operations that run with it, and its policy.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Role {
    operations: &'static [Operation],
    policy: &'static str,
}

/// The role of the API's functions.
pub(crate) const OF_THE_API: Role = Role { operations: &OPERATIONS, policy: remedy::HARDENED };
/// The role of the sweep.
pub(crate) const OF_THE_SWEEP: Role = Role { operations: &SCHEDULED, policy: remedy::SWEEP };

/// The answer of one try about its action.
pub(crate) type Answer = Result<(), Reason>;

/// Why a try did not succeed.
pub(crate) enum Reason {
    /// AWS refused the call.
    Refused(Box<Error>),
    /// There was nothing to try the action on.
    NotAsked(&'static str),
}

impl Reason {
    pub(crate) fn refused(error: Error) -> Self {
        Self::Refused(Box::new(error))
    }
}

/// Makes one verdict for each action, also for an action that was not tried but is named by a denial.
pub(crate) fn verdicts(
    answers: BTreeMap<&'static str, Answer>,
    region: &Region,
    config: &Config,
    role: Role,
) -> Vec<Permission> {
    let mut permissions: BTreeMap<String, Permission> = BTreeMap::new();
    let mut denials = Vec::new();
    for (action, answer) in answers {
        let (verdict, reason) = match answer {
            Ok(()) => (Verdict::Allowed, None),
            Err(Reason::NotAsked(why)) => (Verdict::Unknown, Some(why.to_owned())),
            Err(Reason::Refused(error)) => {
                let reason = Some(error.summary());
                // A launch that may not tag is denied because of its tags, and the denial names that action. If only an
                // option of a launch is denied, the launch itself is not.
                let own = error.missing_permission() == Some(action);
                let of_operation = !role.operations_with(action).is_empty();
                denials.extend(error.denial.filter(|_| own || of_operation).map(|denial| (denial, reason.clone())));
                (if own { Verdict::Denied } else { Verdict::Unknown }, reason)
            }
        };
        permissions.insert(action.to_owned(), Permission::new(action, region, verdict, reason));
    }
    for (denial, reason) in denials {
        let denied = Permission {
            denied_by: denial.by,
            broken_operations: role.operations_with(&denial.action),
            policy_statements: remedy::statements_of(role.policy, &denial.action, config),
            ..Permission::new(&denial.action, region, Verdict::Denied, reason)
        };
        permissions.insert(denial.action, denied);
    }
    permissions.into_values().collect()
}

impl Permission {
    pub(super) fn new(action: &str, region: &Region, verdict: Verdict, reason: Option<String>) -> Self {
        Self {
            action: action.to_owned(),
            region: region.to_string(),
            verdict,
            reason,
            denied_by: None,
            broken_operations: Vec::new(),
            policy_statements: Vec::new(),
        }
    }
}

impl Role {
    fn operations_with(self, action: &str) -> Vec<&'static str> {
        let with = self.operations.iter().filter(|operation| operation.actions.contains(&action));
        with.map(|operation| operation.name).collect()
    }
}
