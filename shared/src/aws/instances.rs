//! Reading instances.

use std::collections::HashMap;

use aws_sdk_ec2::operation::describe_instances::DescribeInstancesOutput;
use aws_sdk_ec2::types;

use crate::aws::clients::Clients;
use crate::aws::filters::{any_of, filter, literal};
use crate::error::{Code, Error};
use crate::input::texts;
use crate::model::instance::Instance;
use crate::model::instance_id::InstanceId;
use crate::model::path::InstancePath;
use crate::model::region::Region;
use crate::model::state::State;
use crate::model::tags::OWNERSHIP_KEY;

/// Reads one instance. From this one read every operation knows whether the instance exists, its state and its owner.
///
/// # Errors
/// [`Code::InstanceNotFound`] if EC2 does not know the instance, and whatever EC2 refuses.
pub(crate) async fn find(clients: &Clients, worker: &InstancePath) -> Result<Instance, Error> {
    let answer =
        clients.ec2(&worker.region)?.describe_instances().instance_ids(worker.instance_id.as_str()).send().await?;
    instances_of(answer)
        .find(|instance| instance.instance_id() == Some(worker.instance_id.as_str()))
        .map(|instance| shown(clients, &worker.region, instance))
        .ok_or_else(|| not_found(&worker.region, &worker.instance_id))
}

/// Reads one instance that is about to be changed.
///
/// # Errors
/// The errors of [`find`], and [`Code::NotManaged`] if the instance does not carry the ownership tag.
pub(crate) async fn find_managed(clients: &Clients, worker: &InstancePath) -> Result<Instance, Error> {
    ours(clients, &worker.instance_id, find(clients, worker).await?)
}

/// Reads many instances that are about to be changed, and returns them in the order of the ids. The ids are sent as a
/// filter, because EC2's list of ids fails for all if one does not exist.
///
/// # Errors
/// What EC2 refuses. Besides, each instance has its own result, with the errors of [`find_managed`].
pub(crate) async fn find_all_managed(
    clients: &Clients,
    region: &Region,
    instance_ids: &[InstanceId],
) -> Result<Vec<Result<Instance, Error>>, Error> {
    let filter = any_of("instance-id", texts(instance_ids));
    let mut pages = clients.ec2(region)?.describe_instances().filters(filter).into_paginator().send();
    let mut found = HashMap::new();
    while let Some(page) = pages.next().await {
        for instance in instances_of(page?) {
            let instance = shown(clients, region, instance);
            found.insert(instance.instance_id.clone(), instance);
        }
    }
    let mut find = |id: &InstanceId| found.remove(id.as_str()).ok_or_else(|| not_found(region, id));
    Ok(instance_ids.iter().map(|id| find(id).and_then(|instance| ours(clients, id, instance))).collect())
}

/// Returns the instance if it carries the ownership tag.
fn ours(clients: &Clients, id: &InstanceId, instance: Instance) -> Result<Instance, Error> {
    if instance.managed {
        return Ok(instance);
    }
    let owner = clients.managed_by();
    let detail =
        format!("{id} does not carry the tag {OWNERSHIP_KEY}={owner}: this API changes only instances with this tag");
    Err(Error::new(Code::NotManaged, detail))
}

/// Counts the managed instances of a region that are not terminated.
///
/// # Errors
/// What EC2 refuses.
pub(crate) async fn managed_count(clients: &Clients, region: &Region) -> Result<usize, Error> {
    let call = clients.ec2(region)?.describe_instances().set_filters(Some(ours_and_alive(clients)));
    let mut pages = call.into_paginator().send();
    let mut count = 0;
    while let Some(page) = pages.next().await {
        count += page?.reservations().iter().map(|reservation| reservation.instances().len()).sum::<usize>();
    }
    Ok(count)
}

/// The filters for the managed instances that are not terminated.
pub(crate) fn ours_and_alive(clients: &Clients) -> Vec<types::Filter> {
    let ours = filter(&format!("tag:{OWNERSHIP_KEY}"), &literal(clients.managed_by()));
    vec![ours, any_of("instance-state-name", State::not_terminated())]
}

fn not_found(region: &Region, id: &InstanceId) -> Error {
    Error::new(Code::InstanceNotFound, format!("{id} does not exist in {region}"))
}

/// Takes the instances out of an answer one by one. Of 1,000 instances the memory then holds each in one form only.
pub(crate) fn instances_of(answer: DescribeInstancesOutput) -> impl Iterator<Item = types::Instance> {
    let reservations = answer.reservations.unwrap_or_default().into_iter();
    reservations.flat_map(|reservation| reservation.instances.unwrap_or_default())
}

/// Converts EC2's instance into the one that answers show, as of now.
pub(crate) fn shown(clients: &Clients, region: &Region, instance: types::Instance) -> Instance {
    Instance::from_ec2(instance, region, clients.managed_by(), clients.now())
}
