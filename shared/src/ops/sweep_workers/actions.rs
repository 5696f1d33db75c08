//! What a sweep changes: its own tags, and the state of a worker that was marked before.

use std::collections::BTreeMap;

use aws_sdk_ec2::operation::RequestId;
use aws_sdk_ec2::types::{InstanceStateChange, Tag};

use crate::aws::all_or_none::{self, Answers, Call};
use crate::aws::bus::Bus;
use crate::aws::clients::Clients;
use crate::aws::deadline;
use crate::aws::fleet;
use crate::aws::instances::find_managed;
use crate::error::{Code, Error};
use crate::input::texts;
use crate::model::instance_id::InstanceId;
use crate::model::path::InstancePath;
use crate::model::region::Region;
use crate::model::sweep::change::{Change, ChangeKind};
use crate::model::sweep::decision::{Decision, Verdict, decide};
use crate::model::sweep::facts::Facts;
use crate::model::sweep::mark::{Mark, Rule};
use crate::model::sweep::rules::Wish;
use crate::model::sweep::{ACTED_KEY, MARK_KEY, SWEEP};
use crate::model::tags::tag;
use crate::model::time::Moment;

/// How the attempt to stop or terminate a worker ended, if nothing failed.
#[derive(Debug)]
pub(super) enum Ended {
    /// The worker was stopped or terminated. It has the error of the event about it, if that was not published.
    Acted(Option<Error>),
    /// The last read showed that the reason is gone, so that nothing was done.
    NoLongerTrue,
}

/// Writes one of the sweep's own tags.
///
/// AWS: ec2:CreateTags.
pub(super) async fn set_tag(
    clients: &Clients,
    region: &Region,
    instance_id: &str,
    key: &str,
    value: &str,
) -> Result<(), Error> {
    clients.ec2(region)?.create_tags().resources(instance_id).tags(tag(key, value)).send().await?;
    Ok(())
}

/// A call that writes one of the sweep's own tags of many workers.
struct SetTag<'a> {
    ec2: &'a aws_sdk_ec2::Client,
    tag: Tag,
}

impl Call for SetTag<'_> {
    async fn send(&self, instance_ids: &[InstanceId], _: bool) -> Result<Vec<InstanceStateChange>, Error> {
        self.ec2.create_tags().set_resources(Some(texts(instance_ids))).tags(self.tag.clone()).send().await?;
        Ok(Vec::new())
    }
}

/// Writes one of the sweep's own tags of up to 100 workers in one call: EC2 takes few such calls in a second. Gives the errors
/// of those where it failed; one worker that is gone, or is ours no more, costs the others nothing.
///
/// AWS: ec2:CreateTags.
pub(super) async fn set_tag_of_many(
    clients: &Clients,
    region: &Region,
    instance_ids: impl Iterator<Item = &str>,
    key: &str,
    value: &str,
) -> BTreeMap<String, Error> {
    let (mut ids, mut failed) = (Vec::new(), BTreeMap::new());
    for id in instance_ids {
        match instance_id(id) {
            Ok(id) => ids.push(id),
            Err(error) => drop(failed.insert(id.to_owned(), error)),
        }
    }
    match clients.ec2(region) {
        Ok(ec2) => {
            let call = SetTag { ec2, tag: tag(key, value) };
            let end = all_or_none::end();
            let mut answers = all_or_none::send(&call, ids, false, end).await;
            let others = denied_beside_another(&answers);
            answers.extend(all_or_none::send(&call, others, false, end).await);
            failed.extend(answers.into_iter().filter_map(|(id, answer)| Some((id.to_string(), answer.err()?))));
        }
        Err(error) => failed.extend(ids.into_iter().map(|id| (id.to_string(), error.clone()))),
    }
    failed
}

/// Those that EC2 denied because of another one, which it names. The policy allows tags of workers alone, and a terminated worker
/// loses its own tags one by one.
fn denied_beside_another(answers: &Answers) -> Vec<InstanceId> {
    let denied = |id: &InstanceId, by: &InstanceId| {
        let Some(Err(error)) = answers.get(id) else { return false };
        error.code == Code::MissingPermission && all_or_none::names(&error.detail, by)
    };
    let Some(named) = answers.keys().find(|id| denied(id, id)) else { return Vec::new() };
    answers.keys().filter(|id| *id != named && denied(id, named)).cloned().collect()
}

fn instance_id(text: &str) -> Result<InstanceId, Error> {
    InstanceId::try_from(text.to_owned())
        .map_err(|refusal| Error::new(Code::AwsError, format!("EC2's instance id {}", refusal.0)))
}

/// Writes the mark or removes it, as decided, and tells so.
pub(super) async fn mark(
    clients: &Clients,
    bus: &Bus,
    region: &Region,
    facts: &Facts,
    decision: &Decision,
) -> Result<(), Error> {
    // The time counts from here, however long the sweep has taken so far.
    let now = Moment::from(clients.now());
    let mark = decision.mark.as_deref().and_then(Mark::parse).map(|mark| Mark { at: now, ..mark }.to_string());
    let kind = match &mark {
        Some(mark) => {
            set_tag(clients, region, &facts.instance_id, MARK_KEY, mark).await?;
            ChangeKind::Marked
        }
        None => {
            remove_tag(clients, region, &facts.instance_id, MARK_KEY).await?;
            ChangeKind::Unmarked
        }
    };
    let (from, to) = (facts.tag(MARK_KEY).map(str::to_owned), mark);
    let cause = Some(decision.reason.clone());
    bus.publish(&[Change { from, to, cause, by: Some(SWEEP.to_owned()), ..Change::new(facts, kind) }]).await
}

/// Stops or terminates a worker, if a fresh read leads to the same decision.
///
/// The tag with the time of the action is written before the call: if the call's answer is lost, the action counts. `log` is called
/// with AWS's id of the request, or what prevented it.
pub(super) async fn act(
    clients: &Clients,
    bus: &Bus,
    region: &Region,
    (before, decision): (&Facts, &Decision),
    log: impl FnOnce(Result<Option<&str>, &Error>),
) -> Result<Ended, Error> {
    if deadline::is_near() {
        return Err(Error::new(
            Code::AwsTimeout,
            "No time was left to stop or terminate the worker: the next sweep tries again",
        ));
    }
    let fresh = read_again(clients, region, before, decision.rule).await?;
    let again = decide(&fresh, &clients.config().sweep.rules);
    if (again.verdict, again.rule) != (decision.verdict, decision.rule) {
        return Ok(Ended::NoLongerTrue);
    }
    let is_stop = decision.verdict == Verdict::Stop;
    let wish = if is_stop { Wish::Stop } else { Wish::Terminate };
    let acted = Mark { wish, rule: decision.rule.unwrap_or(Rule::Orphan), at: fresh.at };
    set_tag(clients, region, &fresh.instance_id, ACTED_KEY, &acted.to_string()).await?;
    let sent = send(clients, region, &fresh.instance_id, is_stop).await;
    // At once: what follows may not end in time.
    log(sent.as_ref().map(Option::as_deref));
    if let Err(error) = sent {
        if !error.may_have_happened() {
            // If this fails, too, the refused action counts for the hour, and EC2's refusal is still what there is to say.
            take_back(clients, region, &fresh, wish, &acted).await.ok();
        }
        return Err(error);
    }
    let kind = if is_stop { ChangeKind::Stopped } else { ChangeKind::Terminated };
    let by = Some(SWEEP.to_owned());
    let told = bus.publish(&[Change { cause: Some(again.reason), by, ..Change::new(&fresh, kind) }]).await;
    Ok(Ended::Acted(told.err()))
}

/// Sends the call, and gives AWS's id of it.
async fn send(clients: &Clients, region: &Region, instance_id: &str, is_stop: bool) -> Result<Option<String>, Error> {
    let ec2 = clients.ec2(region)?;
    let aws_request_id = if is_stop {
        ec2.stop_instances().instance_ids(instance_id).send().await?.request_id().map(str::to_owned)
    } else {
        ec2.terminate_instances().instance_ids(instance_id).send().await?.request_id().map(str::to_owned)
    };
    Ok(aws_request_id)
}

/// Forgets an action that EC2 surely refused, for example of a one-time Spot instance or of a protected one, and marks the
/// worker anew. So it comes after all others next time, and counts for no hour.
async fn take_back(clients: &Clients, region: &Region, facts: &Facts, wish: Wish, acted: &Mark) -> Result<(), Error> {
    let mark = Mark { wish, ..*acted };
    set_tag(clients, region, &facts.instance_id, MARK_KEY, &mark.to_string()).await?;
    remove_tag(clients, region, &facts.instance_id, ACTED_KEY).await
}

/// Removes one of the sweep's own tags, whatever its value is.
///
/// AWS: ec2:DeleteTags.
async fn remove_tag(clients: &Clients, region: &Region, instance_id: &str, key: &str) -> Result<(), Error> {
    let tag = Tag::builder().key(key).build();
    clients.ec2(region)?.delete_tags().resources(instance_id).tags(tag).send().await?;
    Ok(())
}

/// Reads all that the rule was decided by once more.
async fn read_again(clients: &Clients, region: &Region, before: &Facts, rule: Option<Rule>) -> Result<Facts, Error> {
    let id = instance_id(&before.instance_id)?;
    let minutes = clients.config().sweep.rules.idle_minutes;
    let now = Moment::from(clients.now());
    let cpu = match rule {
        Some(Rule::Idle) => Some(fleet::cpu(clients, region, &before.instance_id, minutes, now).await?),
        _ => None,
    };
    let status = match rule {
        Some(Rule::Impaired) => {
            fleet::statuses(clients, region, vec![before.instance_id.clone()]).await?.remove(&before.instance_id)
        }
        _ => None,
    };
    // The instance comes last, so that a heartbeat or a tag that keeps the worker is seen up to the call.
    let worker = InstancePath { region: region.clone(), instance_id: id };
    let instance = find_managed(clients, &worker).await?;
    Ok(Facts { cpu, ..Facts::from_ec2(now, &instance, status.as_ref()) })
}
