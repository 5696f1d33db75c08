//! The policies that the template deploys are those of `iam/`, filled with what the stack was deployed with.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use shared::model::tags::OUR_KEYS;
use tests::iam::{Parameters, render};
use tests::stack::{ACCOUNT_ID, REGION, STACK_NAME};

use super::files::template;
use crate::world::world;

/// The managed policies of every mode, and the files that they are.
const CALLER_POLICIES: [(&str, &str); 3] = [
    ("CMLWorkerCallerReader", "caller-reader"),
    ("CMLWorkerCallerOperator", "caller-operator"),
    ("CMLWorkerCallerLauncher", "caller-launcher"),
];

/// The statements of CMLWorkerSweepPolicy that are there only if one of these parameters has this value.
const OF_RULES: [(&str, &str, &[&str]); 2] =
    [("StopManaged", "stop", &["OnIdle", "OnImpaired", "OnOrphan"]), ("TerminateManaged", "terminate", &["OnOrphan"])];

/// The lists of CMLWorkerLimitsPolicy.
const LISTS_OF_LIMITS: [&str; 4] = ["AllowedKeyNames", "AllowedSecurityGroups", "AllowedSubnets", "AllowedTagKeys"];
/// The other lists without which the statements about them are left out.
const OPTIONAL_LISTS: [&str; 3] = ["ImageParameterArns", "KmsKeyArns", "NetworkOwners"];

/// A stack of [`world`], as CloudFormation has it.
pub struct Deployed {
    stack_name: String,
    parameters: BTreeMap<String, String>,
    outputs: BTreeMap<String, String>,
}

impl Deployed {
    /// The stack of this name.
    pub async fn named(stack_name: &str) -> Self {
        let query = "Stacks[0].[Parameters[].[ParameterKey, ParameterValue], Outputs[].[OutputKey, OutputValue]]";
        let stack =
            world().aws("cloudformation describe-stacks", &["--stack-name", stack_name, "--query", query]).await;
        let [parameters, outputs] = serde_json::from_value::<[Vec<(String, String)>; 2]>(stack).unwrap();
        let (parameters, outputs) = (parameters.into_iter().collect(), outputs.into_iter().collect());
        Self { stack_name: stack_name.to_owned(), parameters, outputs }
    }

    fn given(&self, parameter: &str) -> &str {
        &self.parameters[parameter]
    }

    /// What the template makes of the parameters: an empty list of regions is the stack's own, and the account is always an owner.
    fn rendering(&self) -> Parameters {
        let others = self.given("ImageOwners").split(',').filter(|owner| !owner.is_empty());
        let owners = std::iter::once(ACCOUNT_ID).chain(others).map(str::to_owned).collect();
        let tag_keys = ["Name"].into_iter().chain(OUR_KEYS).chain(self.given("AllowedTagKeys").split(','));
        let tag_keys = tag_keys.map(str::to_owned).collect();
        let list = |name: &'static str, own: &str| {
            let value = Some(self.given(name)).filter(|value| !value.is_empty()).unwrap_or(own);
            (name, value.split(',').map(str::to_owned).collect())
        };
        let known = |name, value: &str| (name, vec![value.to_owned()]);
        Parameters::from([
            known("AWS::AccountId", ACCOUNT_ID),
            known("AWS::Partition", "aws"),
            known("AWS::Region", REGION),
            known("EventBusName", self.given("EventBusName")),
            known("ManagedBy", self.given("ManagedBy")),
            known("NameSuffix", self.given("NameSuffix")),
            known("RestApiId", &self.outputs["RestApiId"]),
            known("WorkerRoleName", self.given("WorkerRoleName")),
            list("AllowedInstanceTypes", ""),
            list("AllowedKeyNames", ""),
            list("AllowedRegions", REGION),
            list("AllowedSecurityGroups", ""),
            list("AllowedSourceCidrs", ""),
            list("AllowedSubnets", ""),
            ("AllowedTagKeys", tag_keys),
            ("ImageOwners", owners),
            list("ImageParameterArns", ""),
            list("KmsKeyArns", ""),
            list("NetworkOwners", ""),
        ])
    }

    /// A file as the stack should have it: the template leaves the statements about an empty list out, without a restriction
    /// of addresses the one about them, and what no rule of the sweep asks for.
    fn expected(&self, file: &str) -> Value {
        let idle = |statement: &Value| {
            let names = |parameter: &str| statement.to_string().contains(&format!("${{{parameter}}}"));
            LISTS_OF_LIMITS.iter().chain(&OPTIONAL_LISTS).any(|list| names(list) && self.given(list).is_empty())
                || (names("AllowedSourceCidrs") && self.given("AllowedSourceCidrs") == "0.0.0.0/0")
                || OF_RULES.iter().any(|(sid, wish, rules)| {
                    statement["Sid"] == *sid && !rules.iter().any(|rule| self.given(rule) == *wish)
                })
        };
        let mut policy = template(file);
        policy["Statement"].as_array_mut().unwrap().retain(|statement| !idle(statement));
        render(&policy, &self.rendering()).unwrap()
    }

    #[track_caller]
    fn assert_same(&self, what: &str, deployed: &Value, file: &str) {
        assert_eq!(normal(deployed), normal(&self.expected(file)), "{what} is not iam/{file}.json");
    }

    /// The managed policy of this name and the stack's suffix is the file.
    async fn assert_managed_policy(&self, name: &str, file: &str) {
        let name = format!("{name}{}", self.given("NameSuffix"));
        self.assert_same(&name, &managed_policy(&name).await, file);
    }

    /// The execution role's policies are the files of the stack's mode.
    pub async fn assert_policy_of_mode(&self) {
        let mode = self.given("PolicyMode");
        let file = if mode == "hardened" { "CMLWorkerManagementPolicy.hardened" } else { "CMLWorkerManagementPolicy" };
        self.assert_managed_policy("CMLWorkerManagementPolicy", file).await;
        if mode == "guardrail" {
            let file = "CMLWorkerManagementPolicy.guardrail";
            self.assert_managed_policy("CMLWorkerGuardrailPolicy", file).await;
        }
        let mut expected = vec!["CMLWorkerManagementPolicy"];
        expected.extend((mode == "guardrail").then_some("CMLWorkerGuardrailPolicy"));
        if LISTS_OF_LIMITS.iter().any(|list| !self.given(list).is_empty()) {
            self.assert_managed_policy("CMLWorkerLimitsPolicy", "CMLWorkerLimitsPolicy").await;
            expected.push("CMLWorkerLimitsPolicy");
        }
        let suffix = self.given("NameSuffix");
        let expected: BTreeSet<String> = expected.into_iter().map(|name| format!("{name}{suffix}")).collect();
        assert_eq!(attached(&self.stack_name, "ExecutionRole").await, expected);
    }

    /// The sweep's policy is its file without what no rule asks for, and its role has no other.
    pub async fn assert_sweep_policy(&self, sids: &[&str]) {
        self.assert_managed_policy("CMLWorkerSweepPolicy", "CMLWorkerSweepPolicy").await;
        let name = format!("CMLWorkerSweepPolicy{}", self.given("NameSuffix"));
        let policy = managed_policy(&name).await;
        let found = policy["Statement"].as_array().unwrap().iter().map(|one| one["Sid"].as_str().unwrap());
        assert_eq!(found.collect::<Vec<_>>(), sids);
        assert_eq!(attached(&self.stack_name, "SweepRole").await, BTreeSet::from([name]));
    }

    /// The policies for callers are their files.
    pub async fn assert_caller_policies(&self) {
        for (name, file) in CALLER_POLICIES {
            self.assert_managed_policy(name, file).await;
        }
    }

    /// The workers' role is its files.
    pub async fn assert_worker_role(&self) {
        let role = format!("{}{}", self.given("WorkerRoleName"), self.given("NameSuffix"));
        let policy = world().aws("iam get-role-policy --policy-name Worker", &["--role-name", &role]).await;
        self.assert_same(&role, &document(&policy["PolicyDocument"]), "worker-role");
        let trust = world().aws("iam get-role", &["--role-name", &role]).await;
        let trust = document(&trust["Role"]["AssumeRolePolicyDocument"]);
        self.assert_same("who may be a worker", &trust, "worker-role.trust");
    }
}

/// The names of the managed policies that a role of a stack has.
async fn attached(stack_name: &str, role: &str) -> BTreeSet<String> {
    let role = world().made(stack_name, role).await;
    let attached = world().aws("iam list-attached-role-policies", &["--role-name", &role]).await;
    let attached = attached["AttachedPolicies"].as_array().unwrap().iter();
    attached.map(|policy| policy["PolicyName"].as_str().unwrap().to_owned()).collect()
}

async fn managed_policy(name: &str) -> Value {
    let arn = format!("arn:aws:iam::{ACCOUNT_ID}:policy/{name}");
    let policy = world().aws("iam get-policy", &["--policy-arn", &arn]).await;
    let version = policy["Policy"]["DefaultVersionId"].as_str().unwrap();
    let version = world().aws("iam get-policy-version", &["--policy-arn", &arn, "--version-id", version]).await;
    document(&version["PolicyVersion"]["Document"])
}

/// The CLI decodes a document; some emulators give it as text.
fn document(document: &Value) -> Value {
    document.as_str().map_or_else(|| document.clone(), |text| serde_json::from_str(text).unwrap())
}

/// A policy means the same with one element as with a list of one, and a list the same in each order.
fn normal(policy: &Value) -> Value {
    match policy {
        Value::Array(elements) if elements.len() == 1 => normal(&elements[0]),
        Value::Array(elements) => elements.iter().map(normal).collect(),
        Value::Object(members) => members.iter().map(|(name, value)| (name.clone(), normal(value))).collect(),
        other => other.clone(),
    }
}

#[tokio::test]
async fn the_role_has_the_policy_of_its_mode() {
    Deployed::named(STACK_NAME).await.assert_policy_of_mode().await;
}

#[tokio::test]
async fn without_a_rule_the_sweep_may_only_read_mark_and_tell() {
    let deployed = Deployed::named(STACK_NAME).await;
    deployed.assert_sweep_policy(&["ReadWorkers", "MarkManaged", "TellChanges"]).await;
}

#[tokio::test]
async fn callers_are_offered_the_policies_of_their_files() {
    Deployed::named(STACK_NAME).await.assert_caller_policies().await;
}

#[tokio::test]
async fn workers_have_the_role_of_its_files() {
    Deployed::named(STACK_NAME).await.assert_worker_role().await;
}
