//! The verdict of a set of policies on a check, by the crate `iam-rs`.

use iam_rs::{Arn, Context, ContextValue, Decision, IAMPolicy, IAMRequest, PolicyEvaluator, Principal, PrincipalId};
use serde_json::Value as Json;

use super::check::{Check, Value};
use crate::stack::Result;

/// The resource of an action that knows none. Only a policy's `*` matches it.
const NO_RESOURCE: &str = "arn:aws:none:::none";

/// Policies that apply to a call together.
#[derive(Debug)]
pub struct Policies {
    evaluator: PolicyEvaluator,
    /// Those with variables in their conditions, which are filled for each check.
    with_variables: Vec<Json>,
}

impl Policies {
    /// The policies, with their parameters filled in.
    ///
    /// # Errors
    /// One is no policy.
    pub fn new(policies: &[Json]) -> Result<Self> {
        let (with_variables, plain): (Vec<_>, Vec<_>) =
            policies.iter().cloned().partition(|policy| policy.to_string().contains("${"));
        Ok(Self { evaluator: evaluator(&plain)?, with_variables })
    }

    /// Whether the policies allow the check: one statement allows it and none denies it.
    ///
    /// # Errors
    /// `iam-rs` cannot judge the check, because an ARN or the value of a condition is malformed.
    pub fn allow(&self, check: &Check) -> Result<bool> {
        let request = request(check)?;
        let mut decisions = vec![self.evaluator.evaluate(&request).map_err(|error| error.to_string())?.decision];
        for policy in &self.with_variables {
            let filled = evaluator(&[fill_conditions(policy, check)])?;
            decisions.push(filled.evaluate(&request).map_err(|error| error.to_string())?.decision);
        }
        Ok(decisions.contains(&Decision::Allow) && !decisions.contains(&Decision::Deny))
    }
}

fn evaluator(policies: &[Json]) -> Result<PolicyEvaluator> {
    let parse = |policy: &Json| serde_json::from_value::<IAMPolicy>(policy.clone());
    Ok(PolicyEvaluator::with_policies(policies.iter().map(parse).collect::<serde_json::Result<_>>()?))
}

/// The policy with the variables in its conditions' values filled from the check's context.
///
/// iam-rs 0.8.0 fills variables in `Resource` and not in the values of conditions, so it would compare with the text
/// `${ec2:InstanceID}` and a worker could not even terminate itself. A variable without a value stays as it is: nothing
/// equals it, and AWS too takes the condition for not met.
fn fill_conditions(policy: &Json, check: &Check) -> Json {
    let mut policy = policy.clone();
    let statements = policy.get_mut("Statement").and_then(Json::as_array_mut).into_iter().flatten();
    for condition in statements.filter_map(|statement| statement.get_mut("Condition")) {
        *condition = fill(condition, check);
    }
    policy
}

fn fill(value: &Json, check: &Check) -> Json {
    match value {
        Json::String(text) => Json::String(check.context.iter().fold(text.clone(), |text, (key, value)| match value {
            Value::Text(value) => text.replace(&format!("${{{key}}}"), value),
            Value::Texts(_) | Value::Flag(_) => text,
        })),
        Json::Array(elements) => elements.iter().map(|element| fill(element, check)).collect(),
        Json::Object(members) => members.iter().map(|(name, value)| (name.clone(), fill(value, check))).collect(),
        other => other.clone(),
    }
}

fn request(check: &Check) -> Result<IAMRequest> {
    let resource = if check.resource == "*" { NO_RESOURCE } else { &check.resource };
    let resource = Arn::parse(resource).map_err(|error| format!("{resource}: {error}"))?;
    let principal = Principal::Aws(PrincipalId::String(check.principal.clone()));
    let mut context = Context::new();
    for (key, value) in &check.context {
        context.insert(key.clone(), context_value(value));
    }
    Ok(IAMRequest::new_with_context(principal, &check.action, resource, context))
}

fn context_value(value: &Value) -> ContextValue {
    match value {
        Value::Text(text) => ContextValue::String(text.clone()),
        Value::Texts(texts) => ContextValue::StringList(texts.clone()),
        Value::Flag(flag) => ContextValue::Boolean(*flag),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SELF: &str = "arn:aws:ec2:us-east-1:123456789012:instance/i-1";

    fn only_itself() -> Json {
        let own = "arn:aws:ec2:*:123456789012:instance/${ec2:InstanceID}";
        let condition = json!({"ArnLike": {"ec2:SourceInstanceARN": own}});
        let action = "ec2:TerminateInstances";
        let statement = json!({"Effect": "Allow", "Action": action, "Resource": "*", "Condition": condition});
        json!({"Version": "2012-10-17", "Statement": [statement]})
    }

    fn terminate(id: &str) -> Check {
        let resource = format!("arn:aws:ec2:us-east-1:123456789012:instance/{id}");
        let check = Check::new("ec2:TerminateInstances", resource).by("arn:aws:iam::123456789012:role/worker");
        check.with("ec2:SourceInstanceARN", SELF).with("ec2:InstanceID", id)
    }

    #[test]
    fn a_variable_in_a_condition_is_filled_from_the_request() {
        let policies = Policies::new(&[only_itself()]).unwrap();
        assert!(policies.allow(&terminate("i-1")).unwrap());
        assert!(!policies.allow(&terminate("i-2")).unwrap());
    }

    /// When this fails, iam-rs fills variables itself and [`fill_conditions`] can go.
    #[test]
    fn iam_rs_does_not_fill_variables_in_conditions() {
        let evaluator = evaluator(&[only_itself()]).unwrap();
        let decision = evaluator.evaluate(&request(&terminate("i-1")).unwrap()).unwrap().decision;
        assert_eq!(decision, Decision::NotApplicable);
    }
}
