//! From a request to all the checks that AWS makes of it.

use std::collections::BTreeMap;

use super::account::{Account, Resource};
use super::check::Check;
use super::launch;
use super::request::Request;

/// The checks that AWS makes of the request in this account, made by `principal`.
pub fn expand(request: &Request, account: &Account, principal: &str) -> Vec<Check> {
    let checks = match request.action.as_str() {
        "RunInstances" => launch::checks(request, account),
        "CreateTags" | "DeleteTags" => tag_checks(request, account),
        action if action.starts_with("Describe") => vec![on_everything(request)],
        _ => instance_checks(request, account),
    };
    checks.into_iter().map(|check| in_account(in_region(check, &request.region)).by(principal)).collect()
}

/// The account that owns the resource is in its ARN, but for images and snapshots.
fn in_account(check: Check) -> Check {
    let owner = check.resource.split(':').nth(4).filter(|owner| !owner.is_empty()).map(str::to_owned);
    check.with_some("aws:ResourceAccount", owner)
}

/// EC2 knows both keys of the region, the other services the global one.
fn in_region(check: Check, region: &str) -> Check {
    let is_ec2 = check.action.starts_with("ec2:");
    let check = check.with("aws:RequestedRegion", region);
    if is_ec2 { check.with("ec2:Region", region) } else { check }
}

/// Describe actions and CloudWatch know no resource.
fn on_everything(request: &Request) -> Check {
    let check = Check::new(format!("{}:{}", request.service, request.action), "*");
    check.with_some("cloudwatch:namespace", request.param("Namespace").filter(|_| request.action == "PutMetricData"))
}

/// Each instance that the request names.
fn instance_checks(request: &Request, account: &Account) -> Vec<Check> {
    let ids = request.values("InstanceId");
    if ids.is_empty() {
        return vec![on_everything(request)];
    }
    ids.into_iter().flat_map(|id| of_instance(request, account, id)).collect()
}

fn of_instance(request: &Request, account: &Account, id: &str) -> Vec<Check> {
    let unknown = Resource::default();
    let instance = account.resources.get(id).unwrap_or(&unknown);
    let resource = account.ec2_arn(&request.region, "instance", id);
    let check = Check::new(format!("ec2:{}", request.action), resource).with("ec2:InstanceID", id);
    // EC2 attaches the volumes anew at each start, with a grant made in the caller's name.
    let key = instance.volume_key.iter().filter(|_| request.action == "StartInstances");
    let grants = key.map(|key| launch::key_check("kms:CreateGrant", key, &request.region));
    [check.tagged(&instance.tags)].into_iter().chain(grants).collect()
}

/// Each resource that the request tags or untags.
fn tag_checks(request: &Request, account: &Account) -> Vec<Check> {
    let tags = request.tags("");
    let check = |id: &str| {
        let check = Check::new(format!("ec2:{}", request.action), arn_of(id, &request.region, account));
        let none = BTreeMap::new();
        let check = check.tagged(account.resources.get(id).map_or(&none, |resource| &resource.tags));
        check.requesting(&tags)
    };
    request.values("ResourceId").into_iter().map(check).collect()
}

/// The ARN of what has this id.
fn arn_of(id: &str, region: &str, account: &Account) -> String {
    let kind = match id.split_once('-').map_or(id, |(prefix, _)| prefix) {
        "ami" => "image",
        "eni" => "network-interface",
        "i" => "instance",
        "key" => "key-pair",
        "sg" => "security-group",
        "snap" => "snapshot",
        "vol" => "volume",
        other => other,
    };
    account.ec2_arn(region, kind, id)
}
