//! The permission self-test: is the function's role allowed to do what the operations need?
//!
//! Reads are tried; mutations are asked about with DryRun, as the very requests that the operations send. Nothing changes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aws_sdk_ec2::config::http::HttpResponse;
use aws_sdk_ec2::error::{ProvideErrorMetadata, SdkError};
use serde::Serialize;
use serde_json::{Value, json};

use crate::clients::Clients;
use crate::error::{Denied, DeniedBy, Error};
use crate::image::{self, LaunchImage};
use crate::instance::{Instance, ours_and_alive};
use crate::launch::Launch;
use crate::mutation::permitted;
use crate::ops::OPERATIONS;
use crate::ops::create_instance::{Attempt, Caller, run_instances};
use crate::region::Region;
use crate::tags::{OWNERSHIP_KEY, tag};
use crate::utilization::MetricName;

/// Whether the role may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// AWS says so.
    Allowed,
    /// AWS denies it.
    Denied,
    /// It could not be asked, or the answer was about something else; the reason says which.
    Unknown,
}

/// One action in one region.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Permission {
    /// The IAM action.
    pub action: String,
    /// The region it was tried in.
    pub region: String,
    /// Whether the role may.
    pub verdict: Verdict,
    /// For denied and unknown: AWS's words, or why it could not be asked.
    pub reason: Option<String>,
    /// For denied: whether a policy is missing or one stands in the way, if AWS says.
    pub denied_by: Option<DeniedBy>,
    /// For denied: the operations that do not work without it.
    pub broken_operations: Vec<&'static str>,
    /// For denied: the statements to add to the role's policy. They help only if no policy denies it explicitly.
    pub policy_statements: Vec<Value>,
}

/// The actions that change an instance, and can only be asked about with one.
const ON_INSTANCES: [&str; 5] =
    ["ec2:CreateTags", "ec2:DeleteTags", "ec2:StartInstances", "ec2:StopInstances", "ec2:TerminateInstances"];

/// What one try says of its action.
type Answer = Result<(), Reason>;

/// Why a try did not succeed.
enum Reason {
    /// AWS refused.
    Refused(Box<Error>),
    /// There was nothing to try it on.
    NotAsked(&'static str),
}

/// Tries every action that the operations need.
///
/// # Errors
/// None that AWS causes: each is an answer. Only a region that is not allowed.
pub async fn self_test(clients: &Clients, region: &Region) -> Result<Vec<Permission>, Error> {
    let (images, instances) = tokio::join!(find_image(clients, region), find_instance(clients, region));
    let image = images.as_ref().ok().and_then(Option::as_ref);
    let instance = instances.as_ref().ok().and_then(Option::as_ref);
    let (reads, launch, mutations) =
        tokio::join!(reads(clients, region), launch(clients, region, image), mutations(clients, region, instance));
    let mut answers = BTreeMap::from([
        ("ec2:DescribeImages", images.map(|_| ()).map_err(Reason::refused)),
        ("ec2:DescribeInstances", instances.map(|_| ()).map_err(Reason::refused)),
        ("ec2:RunInstances", launch),
    ]);
    answers.extend(reads?.into_iter().chain(mutations?));
    Ok(verdicts(answers, region, clients.managed_by()))
}

/// The verdicts of a region that did not answer in time.
#[must_use]
pub fn unanswered(region: &Region) -> Vec<Permission> {
    let reason = || Some("AWS gave no answer in this region in time".to_owned());
    let actions: BTreeSet<&str> = OPERATIONS.iter().flat_map(|operation| operation.actions).copied().collect();
    actions.into_iter().map(|action| Permission::new(action, region, Verdict::Unknown, reason())).collect()
}

/// An image of the account to ask about launching: EC2 looks it up before it checks the permission.
async fn find_image(clients: &Clients, region: &Region) -> Result<Option<LaunchImage>, Error> {
    let call = clients.ec2(region)?.describe_images().owners("self").filters(image::filter("state", "available"));
    Ok(call.send().await?.images().first().map(LaunchImage::from_ec2))
}

/// An instance of ours to ask about changing.
async fn find_instance(clients: &Clients, region: &Region) -> Result<Option<Instance>, Error> {
    let call = clients.ec2(region)?.describe_instances().max_results(5);
    // A terminated one can be asked about for an hour at most, and EC2 may no longer know it.
    let answer = call.set_filters(Some(ours_and_alive(clients))).send().await?;
    let instance = answer.reservations().iter().flat_map(|reservation| reservation.instances()).next();
    Ok(instance.map(|instance| Instance::from_ec2(instance, region, clients)))
}

/// The reads that find nothing to work on.
async fn reads(clients: &Clients, region: &Region) -> Result<Vec<(&'static str, Answer)>, Error> {
    let (ec2, cloudwatch) = (clients.ec2(region)?, clients.cloudwatch(region)?);
    let now = clients.now();
    let metric = MetricName::CpuUtilization;
    let (regions, status, tags, metrics) = tokio::join!(
        ec2.describe_regions().send(),
        ec2.describe_instance_status().max_results(5).send(),
        ec2.describe_tags().max_results(5).send(),
        cloudwatch
            .get_metric_statistics()
            .namespace(metric.namespace())
            .metric_name(metric.name())
            .start_time((now - Duration::from_secs(60)).into())
            .end_time(now.into())
            .period(60)
            .statistics(aws_sdk_cloudwatch::types::Statistic::Average)
            .send(),
    );
    Ok(vec![tried(regions), tried(status), tried(tags), tried(metrics)])
}

/// The launch that create-instance would send, as a dry run.
async fn launch(clients: &Clients, region: &Region, image: Option<&LaunchImage>) -> Answer {
    let ec2 = clients.ec2(region).map_err(Reason::refused)?;
    let image = image.ok_or(Reason::NotAsked("the account has no available image of its own to ask about"))?;
    let launch = Launch::for_permission_test(clients.config())
        .ok_or(Reason::NotAsked("no instance type can be made of CML_ALLOWED_INSTANCE_TYPES"))?;
    let call = run_instances(ec2, &launch, &Attempt::first(&launch), image, clients.managed_by(), &Caller::default());
    asked(call.dry_run(true).send().await).1
}

/// The changes that the operations would send, as dry runs.
async fn mutations(
    clients: &Clients,
    region: &Region,
    instance: Option<&Instance>,
) -> Result<Vec<(&'static str, Answer)>, Error> {
    let ec2 = clients.ec2(region)?;
    let Some(id) = instance.map(|instance| instance.instance_id.as_str()) else {
        let nothing = "there is no managed instance to ask about: launch one and try again";
        return Ok(ON_INSTANCES.into_iter().map(|action| (action, Err(Reason::NotAsked(nothing)))).collect());
    };
    let tag = tag("PermissionSelfTest", "true");
    let (start, stop, terminate, create_tags, delete_tags) = tokio::join!(
        ec2.start_instances().instance_ids(id).dry_run(true).send(),
        ec2.stop_instances().instance_ids(id).dry_run(true).send(),
        ec2.terminate_instances().instance_ids(id).dry_run(true).send(),
        ec2.create_tags().resources(id).tags(tag.clone()).dry_run(true).send(),
        ec2.delete_tags().resources(id).tags(tag).dry_run(true).send(),
    );
    Ok(vec![asked(start), asked(stop), asked(terminate), asked(create_tags), asked(delete_tags)])
}

/// What a read says of its action.
fn tried<O, E>(answer: Result<O, SdkError<E, HttpResponse>>) -> (&'static str, Answer)
where
    E: Denied + ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    (E::ACTION, answer.map(|_| ()).map_err(|error| Reason::refused(error.into())))
}

/// What a dry run says of its action.
fn asked<O, E>(answer: Result<O, SdkError<E, HttpResponse>>) -> (&'static str, Answer)
where
    E: Denied + ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    (E::ACTION, permitted::<(), _, _>(answer).map(|_| ()).map_err(Reason::refused))
}

impl Reason {
    fn refused(error: Error) -> Self {
        Self::Refused(Box::new(error))
    }
}

/// One verdict an action, those that a denial names beyond the ones tried included.
fn verdicts(answers: BTreeMap<&'static str, Answer>, region: &Region, managed_by: &str) -> Vec<Permission> {
    let mut permissions: BTreeMap<String, Permission> = BTreeMap::new();
    let mut denials = Vec::new();
    for (action, answer) in answers {
        let (verdict, reason) = match answer {
            Ok(()) => (Verdict::Allowed, None),
            Err(Reason::NotAsked(why)) => (Verdict::Unknown, Some(why.to_owned())),
            Err(Reason::Refused(error)) => {
                let reason = Some(error.summary());
                // A launch that may not tag is denied by its tags: the denial says which action that is.
                let verdict =
                    if error.missing_permission() == Some(action) { Verdict::Denied } else { Verdict::Unknown };
                denials.extend(error.denial.map(|denial| (denial, reason.clone())));
                (verdict, reason)
            }
        };
        permissions.insert(action.to_owned(), Permission::new(action, region, verdict, reason));
    }
    for (denial, reason) in denials {
        let denied = Permission {
            denied_by: denial.by,
            broken_operations: operations_with(&denial.action),
            policy_statements: statements(&denial.action, managed_by),
            ..Permission::new(&denial.action, region, Verdict::Denied, reason)
        };
        permissions.insert(denial.action, denied);
    }
    permissions.into_values().collect()
}

impl Permission {
    fn new(action: &str, region: &Region, verdict: Verdict, reason: Option<String>) -> Self {
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

fn operations_with(action: &str) -> Vec<&'static str> {
    let without = OPERATIONS.iter().filter(|operation| operation.actions.contains(&action));
    without.map(|operation| operation.name).collect()
}

/// What to add to the policy for an action, no wider than the operations need: pasting it must not undo the hardened form.
fn statements(action: &str, managed_by: &str) -> Vec<Value> {
    let instances = "arn:*:ec2:*:*:instance/*";
    let ours = json!({"ec2:ResourceTag/ManagedBy": managed_by});
    let allow = |resource: &str, condition: Value| json!({"Effect": "Allow", "Action": action, "Resource": resource, "Condition": condition});
    let untouched = json!({
        "StringEquals": ours,
        "ForAllValues:StringNotEqualsIgnoreCase": {"aws:TagKeys": [OWNERSHIP_KEY]},
        "Null": {"aws:TagKeys": "false"},
    });
    let at_launch =
        json!({"StringEquals": {"ec2:CreateAction": "RunInstances", "aws:RequestTag/ManagedBy": managed_by}});
    let tagged_launch =
        json!({"StringEquals": {"aws:RequestTag/ManagedBy": managed_by, "ec2:MetadataHttpTokens": "required"}});
    let kinds =
        ["image/*", "subnet/*", "security-group/*", "network-interface/*", "volume/*", "key-pair/*", "snapshot/*"];
    let beside: Vec<String> = kinds.iter().map(|kind| format!("arn:*:ec2:*:*:{kind}")).collect();
    match action {
        "ec2:StartInstances" | "ec2:StopInstances" | "ec2:TerminateInstances" => {
            vec![allow(instances, json!({"StringEquals": ours}))]
        }
        "ec2:DeleteTags" => vec![allow(instances, untouched)],
        "ec2:CreateTags" => vec![allow("*", at_launch), allow(instances, untouched)],
        "ec2:RunInstances" => {
            vec![allow(instances, tagged_launch), json!({"Effect": "Allow", "Action": action, "Resource": beside})]
        }
        _ => vec![json!({"Effect": "Allow", "Action": action, "Resource": "*"})],
    }
}

#[cfg(test)]
mod tests;
