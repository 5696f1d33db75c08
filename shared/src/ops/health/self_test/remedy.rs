//! Tells what to add to a role's policy for an action: the own statements of its policy about it, with this
//! deployment's parameters filled in. They allow nothing more, so pasting them does not weaken the policy.

use serde_json::{Value, json};

use crate::config::Config;
use crate::config::deployment::WorkerRole;
use crate::input::texts;
use crate::model::owner::Owner;

/// The policy of the role with which the API's functions run.
pub(crate) const HARDENED: &str = include_str!("../../../../../iam/CMLWorkerManagementPolicy.hardened.json");

/// The policy of the role with which the sweep runs.
pub(crate) const SWEEP: &str = include_str!("../../../../../iam/CMLWorkerSweepPolicy.json");

/// The statements of the hardened policy about an action; none if the configuration does not name the account, or the deployment does not use the
/// action.
#[must_use]
pub fn statements(action: &str, config: &Config) -> Vec<Value> {
    statements_of(HARDENED, action, config)
}

/// The statements of a policy about an action, as [`statements`] gives those of the hardened one.
pub(crate) fn statements_of(policy: &str, action: &str, config: &Config) -> Vec<Value> {
    let Some(role) = &config.deployment.worker_role else { return Vec::new() };
    let policy: Value = serde_json::from_str(policy).unwrap_or_default();
    let all = policy.get("Statement").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let about = all.iter().filter(|statement| is_about(statement, action));
    about
        .filter_map(|statement| filled(statement, config, role).and_then(|statement| of_action(statement, action)))
        .collect()
}

/// The statement for this one action, without its `Sid`: IAM refuses a policy in which two statements have the same one.
fn of_action(mut statement: Value, action: &str) -> Option<Value> {
    let members = statement.as_object_mut()?;
    members.remove("Sid");
    members.insert("Action".to_owned(), json!(action));
    Some(statement)
}

fn is_about(statement: &Value, action: &str) -> bool {
    match &statement["Action"] {
        Value::Array(actions) => actions.iter().any(|one| one == action),
        one => one == action,
    }
}

/// The value with its placeholders filled; `None` if it needs an entry of an empty list.
fn filled(value: &Value, config: &Config, role: &WorkerRole) -> Option<Value> {
    Some(match value {
        Value::String(text) => Value::String(filled_text(text, config, role)),
        Value::Array(elements) => match list_of(elements, config, role) {
            Some(entries) if entries.is_empty() => return None,
            Some(entries) => json!(entries),
            None => Value::Array(elements.iter().map(|element| filled(element, config, role)).collect::<Option<_>>()?),
        },
        Value::Object(members) => {
            let member = |(name, value): (&String, &Value)| Some((name.clone(), filled(value, config, role)?));
            Value::Object(members.iter().map(member).collect::<Option<_>>()?)
        }
        other => other.clone(),
    })
}

/// The entries of the parameter whose placeholder is the only element of a list; `None` for any other list.
fn list_of(elements: &[Value], config: &Config, role: &WorkerRole) -> Option<Vec<String>> {
    let [Value::String(placeholder)] = elements else { return None };
    Some(match placeholder.strip_prefix("${")?.strip_suffix('}')? {
        "AllowedRegions" => texts(&config.allowed_regions),
        "AllowedInstanceTypes" => texts(&config.allowed_instance_types),
        "ImageOwners" => {
            let others = config.image_owners.iter().filter(|owner| **owner != Owner::default());
            std::iter::once(role.account_id.clone()).chain(others.map(ToString::to_string)).collect()
        }
        "ImageParameterArns" => config.image_parameters.iter().map(|parameters| parameters.arn().to_owned()).collect(),
        "KmsKeyArns" => config.deployment.kms_key_arns.clone(),
        "NetworkOwners" => config.deployment.network_owners.clone(),
        _ => return None,
    })
}

fn filled_text(text: &str, config: &Config, role: &WorkerRole) -> String {
    // The role's name has the suffix already.
    [
        ("${AWS::Partition}", role.partition.as_str()),
        ("${AWS::AccountId}", &role.account_id),
        ("${AWS::Region}", config.region.as_str()),
        ("${EventBusName}", &config.sweep.event_bus),
        ("${ManagedBy}", &config.managed_by),
        ("${WorkerRoleName}${NameSuffix}", &role.name),
    ]
    .into_iter()
    .fold(text.to_owned(), |text, (placeholder, value)| text.replace(placeholder, value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::AWS_REGION;
    use crate::config::deployment::{CML_KMS_KEY_ARNS, CML_WORKER_ROLE_ARN};

    fn config(more: &[(&str, &str)]) -> Config {
        let base = [(AWS_REGION, "us-east-1"), (CML_WORKER_ROLE_ARN, "arn:aws:iam::123456789012:role/CMLWorker-lab")];
        let all: Vec<_> = base.iter().chain(more).collect();
        Config::read(|name| all.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())).unwrap()
    }

    /// Every action of a policy.
    fn actions(policy: &str) -> Vec<String> {
        let policy: Value = serde_json::from_str(policy).unwrap();
        let all = policy["Statement"].as_array().unwrap().iter();
        let actions = all.flat_map(|statement| match &statement["Action"] {
            Value::Array(actions) => actions.iter().map(|action| action.as_str().unwrap().to_owned()).collect(),
            one => vec![one.as_str().unwrap().to_owned()],
        });
        actions.collect()
    }

    #[test]
    fn no_placeholder_is_left_and_only_the_one_action_is_allowed() {
        let keys = "arn:aws:kms:us-east-1:123456789012:key/1";
        for policy in [HARDENED, SWEEP] {
            for action in actions(policy) {
                for statement in statements_of(policy, &action, &config(&[(CML_KMS_KEY_ARNS, keys)])) {
                    assert_eq!((&statement["Action"], &statement["Effect"]), (&json!(action), &json!("Allow")));
                    assert!(!statement.to_string().contains("${") && statement.get("Sid").is_none(), "{statement}");
                }
            }
        }
    }

    #[test]
    fn the_actions_on_keys_are_those_of_the_policy() {
        let mut of_policy: Vec<String> =
            actions(HARDENED).into_iter().filter(|action| action.starts_with("kms:")).collect();
        of_policy.sort_unstable();
        assert_eq!(of_policy, crate::ops::health::self_test::KMS_ACTIONS);
    }

    #[test]
    fn a_statement_about_an_empty_list_is_left_out() {
        let without = config(&[]);
        assert_eq!(statements("kms:Decrypt", &without), [Value::Null; 0]);
        // These are about the launch, its images, and the account's own resources; not about resources that others share.
        assert_eq!(statements("ec2:RunInstances", &without).len(), 3);
    }

    #[test]
    fn an_account_that_is_not_known_is_not_guessed() {
        let unknown = Config::read(|name| (name == AWS_REGION).then(|| "us-east-1".to_owned())).unwrap();
        assert_eq!(statements("ec2:StopInstances", &unknown), [Value::Null; 0]);
    }
}
