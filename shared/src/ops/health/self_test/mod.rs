//! The permission self-test: it finds out whether the function's role may do what the operations need.
//!
//! Reads are carried out. Mutations are sent with DryRun, as the same requests that the operations send, so nothing
//! changes. The permissions that only an option of a launch needs are tried if the deployment has the option.

mod probe;
pub mod remedy;
pub mod verdicts;

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ec2::config::http::HttpResponse;
use aws_sdk_ec2::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_ec2::types;

use crate::aws::clients::Clients;
use crate::aws::dry_run::permitted;
use crate::aws::errors::IamAction;
use crate::aws::filters;
use crate::aws::image_parameters;
use crate::aws::instances::{instances_of, ours_and_alive, shown};
use crate::error::{Code, Error};
use crate::model::image::LaunchImage;
use crate::model::instance::Instance;
use crate::model::launch::{InstanceProfile, Launch, Spot};
use crate::model::region::Region;
use crate::model::tags::{NAME_KEY, tag};
use crate::ops::OPERATIONS;
use crate::ops::create_instance::attempt::Attempt;
use crate::ops::create_instance::caller::Caller;
use crate::ops::create_instance::launching::Launching;
use crate::ops::create_instance::request::run_instances;
use crate::ops::health::nothing::metric_of_nothing;
use crate::ops::health::self_test::verdicts::{Answer, OF_THE_API, Permission, Reason, Verdict, verdicts};

/// The actions that change an instance. They can be tried only if there is one.
const ON_INSTANCES: [&str; 5] =
    ["ec2:CreateTags", "ec2:DeleteTags", "ec2:StartInstances", "ec2:StopInstances", "ec2:TerminateInstances"];

/// The action that a launch with an instance profile needs.
const PASS_ROLE: &str = "iam:PassRole";
/// The action that the account's first Spot launch needs.
const SPOT_ROLE: &str = "iam:CreateServiceLinkedRole";
/// The actions that a volume under a customer managed key needs.
const KMS_ACTIONS: [&str; 6] = [
    "kms:CreateGrant",
    "kms:Decrypt",
    "kms:DescribeKey",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
];

/// Tries every action that the operations need.
///
/// # Errors
/// Only that the region is not allowed. An error of AWS is no error here, because it is part of the answer.
pub async fn self_test(clients: &Clients, region: &Region) -> Result<Vec<Permission>, Error> {
    let (images, instances) = tokio::join!(find_images(clients, region), find_instance(clients, region));
    let instance = instances.as_ref().ok().and_then(Option::as_ref);
    let launch = probe::launch(clients.config(), images.as_deref().unwrap_or_default(), instance);
    let (reads, launches, options, mutations) = tokio::join!(
        reads(clients, region),
        launches(clients, region, launch),
        options(clients, region),
        mutations(clients, region, instance)
    );
    let mut answers = BTreeMap::from([
        ("ec2:DescribeImages", images.map(|_| ()).map_err(Reason::refused)),
        ("ec2:DescribeInstances", instances.map(|_| ()).map_err(Reason::refused)),
    ]);
    answers.extend(reads?.into_iter().chain(launches?).chain(options).chain(mutations?));
    Ok(verdicts(answers, region, clients.config(), OF_THE_API))
}

/// The verdicts of a region that did not answer in time.
#[must_use]
pub fn unanswered(region: &Region) -> Vec<Permission> {
    let reason = || Some("AWS gave no answer in this region in time".to_owned());
    let actions: BTreeSet<&str> = OPERATIONS.iter().flat_map(|operation| operation.actions).copied().collect();
    actions.into_iter().map(|action| Permission::new(action, region, Verdict::Unknown, reason())).collect()
}

/// Reads the account's images for the dry run of a launch: EC2 looks the image up before it checks the permission.
async fn find_images(clients: &Clients, region: &Region) -> Result<Vec<types::Image>, Error> {
    let call = clients.ec2(region)?.describe_images().owners("self").filters(filters::filter("state", "available"));
    Ok(call.send().await?.images.unwrap_or_default())
}

/// Finds an instance of ours for the dry runs of changes.
pub(crate) async fn find_instance(clients: &Clients, region: &Region) -> Result<Option<Instance>, Error> {
    let call = clients.ec2(region)?.describe_instances().max_results(5);
    // A terminated instance is not taken: it can be asked about for an hour at most, and EC2 may no longer know it.
    let answer = call.set_filters(Some(ours_and_alive(clients))).send().await?;
    Ok(instances_of(answer).next().map(|instance| shown(clients, region, instance)))
}

/// Tries the reads of which the self-test needs no result.
async fn reads(clients: &Clients, region: &Region) -> Result<Vec<(&'static str, Answer)>, Error> {
    let (ec2, cloudwatch) = (clients.ec2(region)?, clients.cloudwatch(region)?);
    let (regions, status, tags, metrics) = tokio::join!(
        ec2.describe_regions().send(),
        ec2.describe_instance_status().max_results(5).send(),
        ec2.describe_tags().max_results(5).send(),
        metric_of_nothing(cloudwatch, clients.now()).send(),
    );
    Ok(vec![tried(regions), tried(status), tried(tags), tried(metrics)])
}

/// Sends the launches of create-instance as dry runs: a plain one, one with the workers' role, and one on Spot.
async fn launches(
    clients: &Clients,
    region: &Region,
    launch: Result<(Launch, LaunchImage), &'static str>,
) -> Result<Vec<(&'static str, Answer)>, Error> {
    let ec2 = clients.ec2(region)?;
    let deployment = &clients.config().deployment;
    let role = deployment.worker_role.as_ref().filter(|_| deployment.is_hardened);
    let (launch, image) = match launch {
        Ok(found) => found,
        Err(why) => {
            let actions = ["ec2:RunInstances", SPOT_ROLE].into_iter().chain(role.map(|_| PASS_ROLE));
            return Ok(actions.map(|action| (action, Err(Reason::NotAsked(why)))).collect());
        }
    };
    let caller = Caller::default();
    let ask = async |launch: &Launch| {
        let launching = Launching { clients, ec2, region, launch, caller: &caller };
        let call = run_instances(&launching, &Attempt::first(launch), &image);
        asked(call.dry_run(true).send().await).1
    };
    let with_profile = async {
        let profile = InstanceProfile::try_from(role?.name.clone()).ok()?;
        Some(ask(&Launch { iam_instance_profile: Some(profile), ..launch.clone() }).await)
    };
    let on_spot = Launch { spot: Some(Spot::default()), ..launch.clone() };
    let (plain, passed, on_spot) = tokio::join!(ask(&launch), with_profile, ask(&on_spot));
    // The permission is needed once in the life of an account, and a dry run that passes does not say whether it still is.
    let permitted = "EC2 would permit a Spot launch: the service-linked role exists, or the function's role may create the \
                     service-linked role";
    let spot_role = on_spot.and(Err(Reason::NotAsked(permitted)));
    let passed = passed.map(|passed| (PASS_ROLE, passed));
    Ok([("ec2:RunInstances", plain), (SPOT_ROLE, spot_role)].into_iter().chain(passed).collect())
}

/// Tries the actions outside of EC2 that the deployment's parameters allow.
async fn options(clients: &Clients, region: &Region) -> Vec<(&'static str, Answer)> {
    let config = clients.config();
    let mut answers = Vec::new();
    if let Some(name) = config.image_parameters.iter().find_map(|parameters| parameters.example_in(region)) {
        let answer = match image_parameters::image_id(clients, region, &name).await {
            // AWS checks the permission before it looks for the parameter and its value.
            Err(error) if error.code == Code::ImageNotFound => Ok(()),
            answer => answer.map(|_| ()).map_err(Reason::refused),
        };
        answers.push(("ssm:GetParameter", answer));
    }
    if !config.deployment.kms_key_arns.is_empty() {
        let why = "no dry run reaches KMS: EC2 uses the key when it makes the volume";
        answers.extend(KMS_ACTIONS.map(|action| (action, Err(Reason::NotAsked(why)))));
    }
    answers
}

/// Sends the changes of the operations as dry runs.
async fn mutations(
    clients: &Clients,
    region: &Region,
    instance: Option<&Instance>,
) -> Result<Vec<(&'static str, Answer)>, Error> {
    let ec2 = clients.ec2(region)?;
    let Some(id) = instance.map(|instance| instance.instance_id.as_str()) else {
        let nothing = "there is no managed instance on which the action can be tried: launch an instance and try again";
        return Ok(ON_INSTANCES.into_iter().map(|action| (action, Err(Reason::NotAsked(nothing)))).collect());
    };
    // Every deployment lets callers set a tag with this key.
    let tag = tag(NAME_KEY, "permission-self-test");
    let (start, stop, terminate, create_tags, delete_tags) = tokio::join!(
        ec2.start_instances().instance_ids(id).dry_run(true).send(),
        ec2.stop_instances().instance_ids(id).dry_run(true).send(),
        ec2.terminate_instances().instance_ids(id).dry_run(true).send(),
        ec2.create_tags().resources(id).tags(tag.clone()).dry_run(true).send(),
        ec2.delete_tags().resources(id).tags(tag).dry_run(true).send(),
    );
    Ok(vec![asked(start), asked(stop), asked(terminate), asked(create_tags), asked(delete_tags)])
}

/// The answer of a read about its action.
pub(crate) fn tried<O, E>(answer: Result<O, SdkError<E, HttpResponse>>) -> (&'static str, Answer)
where
    E: IamAction + ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    (E::NAME, answer.map(|_| ()).map_err(|error| Reason::refused(error.into())))
}

/// The answer of a dry run about its action.
pub(crate) fn asked<O, E>(answer: Result<O, SdkError<E, HttpResponse>>) -> (&'static str, Answer)
where
    E: IamAction + ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    (E::NAME, permitted::<(), _, _>(answer).map(|_| ()).map_err(Reason::refused))
}

#[cfg(test)]
mod tests;
