//! CreateTags and DeleteTags: as the functions send them, and to make an instance ours or nobody's.

use tests::iam::{Check, Request, Resource, expand};

use super::recorded::{Calls, FOREIGN, ROLE, SECOND, SHARED_GROUP, UNTAGGED, VOLUME};
use super::{A, D, Row};

/// The rows: what is tagged how, and whether with base, guardrail, hardened.
pub fn rows(calls: &Calls) -> Vec<Row> {
    [tagging(calls), claiming(calls), at_creation(calls), untagging(calls)].concat()
}

fn tagging(calls: &Calls) -> Vec<Row> {
    let tag = calls.request("CreateTags");
    let of = |id| calls.checks(&tag.clone().with("ResourceId.1", id));
    let also = |id| calls.checks(&tag.clone().with("ResourceId.2", id));
    let in_region = |region| calls.checks(&tag.clone().in_region(region));
    vec![
        ("tag somebody else's instance", of(FOREIGN), [A, D, D]),
        ("tag an untagged instance", of(UNTAGGED), [A, D, D]),
        ("tag an untagged volume", of("vol-0b"), [A, D, D]),
        ("tag a volume of ours", of(VOLUME), [A, A, D]),
        ("tag a security group", of("sg-0b"), [A, D, D]),
        ("tag a security group that the partner shares", of(SHARED_GROUP), [A, D, D]),
        ("tag an image", of("ami-0b"), [A, D, D]),
        ("tag a snapshot", of("snap-0b"), [A, D, D]),
        ("tag two workers", also(SECOND), [A, A, A]),
        ("tag a worker and somebody else's instance", also(FOREIGN), [A, D, D]),
        ("tag a worker in the other allowed region", in_region("us-west-2"), [A, A, A]),
        ("tag a worker in a region that is not allowed", in_region("eu-west-1"), [A, D, D]),
        ("tag a worker with nothing", calls.checks(&tag.clone().without("Tag")), [A, A, D]),
    ]
}

fn claiming(calls: &Calls) -> Vec<Row> {
    let tag = calls.request("CreateTags");
    let own = |key: &str, value: &str| tag.clone().with("Tag.1.Key", key).with("Tag.1.Value", value);
    let claim = own("ManagedBy", "cml-cloud-manager");
    let of = |request: Request, id| calls.checks(&request.with("ResourceId.1", id));
    let beside = tag.clone().with("Tag.2.Key", "ManagedBy").with("Tag.2.Value", "somebody-else");
    vec![
        ("claim somebody else's instance", of(claim.clone(), FOREIGN), [A, D, D]),
        ("claim an untagged instance", of(claim.clone(), UNTAGGED), [A, D, D]),
        ("claim an untagged instance in lower case", of(own("managedby", "cml-cloud-manager"), UNTAGGED), [A, D, D]),
        ("claim somebody else's instance, then terminate it", then_terminate(calls, &claim, FOREIGN), [A, D, D]),
        ("claim an untagged instance, then terminate it", then_terminate(calls, &claim, UNTAGGED), [A, D, D]),
        ("claim a worker again", calls.checks(&claim), [A, D, D]),
        ("give a worker away", calls.checks(&own("ManagedBy", "somebody-else")), [A, D, D]),
        ("give a worker away beside another tag", calls.checks(&beside), [A, D, D]),
        ("add a lower-case ownership key to a worker", calls.checks(&own("managedby", "x")), [A, D, D]),
        ("add an upper-case ownership key to a worker", calls.checks(&own("MANAGEDBY", "x")), [A, D, D]),
        ("say of a worker that somebody else made it", calls.checks(&own("CreatedBy", "arn")), [A, D, D]),
        ("say so in lower case", calls.checks(&own("createdby", "arn")), [A, D, D]),
        ("make a worker another request's", calls.checks(&own("IdempotencyFingerprint", "0")), [A, D, D]),
        ("make it so in lower case", calls.checks(&own("idempotencyfingerprint", "0")), [A, D, D]),
        ("add a key that begins like the ownership key", calls.checks(&own("ManagedByTeam", "x")), [A, A, A]),
    ]
}

/// Both calls of the attack, the second in the account as the first leaves it.
fn then_terminate(calls: &Calls, claim: &Request, id: &str) -> Vec<Check> {
    let claim = claim.clone().with("ResourceId.1", id);
    let claimed = Resource { tags: claim.tags(""), volume_key: None };
    let mut account = calls.account.clone();
    account.resources.insert(id.to_owned(), claimed);
    let terminate = calls.request("TerminateInstances").with("InstanceId.1", id);
    [calls.checks(&claim), expand(&terminate, &account, ROLE)].concat()
}

/// Tags that come with the making of something else than a worker.
fn at_creation(calls: &Calls) -> Vec<Row> {
    let tag = calls.request("CreateTags").with("Tag.1.Key", "ManagedBy").with("Tag.1.Value", "cml-cloud-manager");
    let made_by = |action: &str, id: &str| {
        let checks = calls.checks(&tag.clone().with("ResourceId.1", id)).into_iter();
        checks.map(|check| check.with("ec2:CreateAction", action)).collect::<Vec<_>>()
    };
    vec![
        ("tag a volume that CreateVolume makes", made_by("CreateVolume", "vol-0b"), [A, D, D]),
        ("tag an interface that CreateNetworkInterface makes", made_by("CreateNetworkInterface", "eni-0b"), [A, D, D]),
        ("tag a security group that CreateSecurityGroup makes", made_by("CreateSecurityGroup", "sg-0b"), [A, D, D]),
    ]
}

fn untagging(calls: &Calls) -> Vec<Row> {
    let untag = calls.request("DeleteTags");
    let of = |id| calls.checks(&untag.clone().with("ResourceId.1", id));
    let also = |id| calls.checks(&untag.clone().with("ResourceId.2", id));
    let key = |key| calls.checks(&untag.clone().with("Tag.1.Key", key));
    let key_beside = |key| calls.checks(&untag.clone().with("Tag.2.Key", key));
    let abroad = calls.checks(&untag.clone().in_region("eu-west-1"));
    let owned = untag.clone().with("Tag.1.Key", "ManagedBy").with("Tag.1.Value", "cml-cloud-manager");
    let all = untag.clone().without("Tag");
    vec![
        ("untag somebody else's instance", of(FOREIGN), [A, D, D]),
        ("untag an untagged instance", of(UNTAGGED), [A, D, D]),
        ("untag a volume of ours", of(VOLUME), [A, A, D]),
        ("untag a worker and somebody else's instance", also(FOREIGN), [A, D, D]),
        ("untag a worker in a region that is not allowed", abroad, [A, D, D]),
        ("remove two tags", key_beside("Course"), [A, A, A]),
        ("remove the ownership tag", key("ManagedBy"), [A, D, D]),
        ("remove the ownership tag in lower case", key("managedby"), [A, D, D]),
        ("remove who made a worker", key("CreatedBy"), [A, D, D]),
        ("remove whose request a worker is", key("IdempotencyFingerprint"), [A, D, D]),
        ("remove the ownership tag beside another", key_beside("ManagedBy"), [A, D, D]),
        ("remove the ownership tag only with its value", calls.checks(&owned), [A, D, D]),
        ("remove all tags of a worker by naming none", calls.checks(&all), [A, D, D]),
        ("remove all tags of somebody else's instance", calls.checks(&all.with("ResourceId.1", FOREIGN)), [A, D, D]),
    ]
}
