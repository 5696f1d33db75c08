//! What callers may name, with all four lists given: the same verdicts beside the base policy and beside the hardened one.

use tests::iam::{Check, Request};

use super::files::{GROUPS, SUBNETS};
use super::recorded::Calls;
use super::{A, Case, D, Mode};

type Row = (String, Vec<Check>, bool);

/// The cases of both modes, and those that only the base policy leaves to the lists.
pub fn cases(calls: &Calls) -> Vec<Case> {
    let rows = [launches(calls), keys(calls)].concat();
    let both = rows.into_iter().flat_map(|row| [Mode::LimitedBase, Mode::LimitedHardened].map(|mode| case(mode, &row)));
    both.chain(left_alone(calls).iter().map(|row| case(Mode::LimitedBase, row))).collect()
}

fn case(mode: Mode, (says, checks, allowed): &Row) -> Case {
    Case { says: says.clone(), mode, checks: checks.clone(), allowed: *allowed }
}

/// The recorded launch, into what is allowed.
fn launch(calls: &Calls) -> Request {
    let request = calls.request("RunInstances").without("SubnetId").without("SecurityGroupId").without("KeyName");
    request.with("SubnetId", SUBNETS[0]).with("SecurityGroupId.1", GROUPS[0]).with("KeyName", "ops")
}

fn launches(calls: &Calls) -> Vec<Row> {
    let with = |name: &str, value: &str| calls.checks(&launch(calls).with(name, value));
    let without = |name: &str| calls.checks(&launch(calls).without(name));
    let rows = [
        ("launch into the first subnet", calls.checks(&launch(calls)), A),
        ("launch into the second subnet", with("SubnetId", SUBNETS[1]), A),
        ("launch into the database's subnet", with("SubnetId", "subnet-0b"), D),
        ("launch into a subnet whose id begins alike", with("SubnetId", "subnet-0bbbbbbbbbbbbbbb11"), D),
        ("launch into the default subnet", without("SubnetId"), D),
        ("launch with both security groups", with("SecurityGroupId.2", GROUPS[1]), A),
        ("launch with the database's security group", with("SecurityGroupId.1", "sg-0b"), D),
        ("launch with it beside one that is allowed", with("SecurityGroupId.2", "sg-0b"), D),
        ("launch with the default security group", without("SecurityGroupId"), D),
        ("launch with a key pair of a pattern", with("KeyName", "lab-7"), A),
        ("launch with another key pair", with("KeyName", "root"), D),
        ("launch with a key pair that ends alike", with("KeyName", "devops"), D),
        ("launch without a key pair", without("KeyName"), A),
    ];
    rows.map(|(says, checks, allowed)| (says.to_owned(), checks, allowed)).into()
}

fn keys(calls: &Calls) -> Vec<Row> {
    let tag = calls.request("CreateTags").without("Tag").with("Tag.1.Key", "cml:site").with("Tag.1.Value", "x");
    let untag = calls.request("DeleteTags").without("Tag").with("Tag.1.Key", "cml:site");
    let verdicts =
        [("cml:site", A), ("Cost Center", A), ("Name", A), ("Trusted", D), ("CML:site", D), ("Cost  Center", D)];
    let later = verdicts.into_iter().flat_map(|(key, allowed)| {
        let set = calls.checks(&tag.clone().with("Tag.1.Key", key));
        let beside = calls.checks(&tag.clone().with("Tag.2.Key", key));
        let removed = calls.checks(&untag.clone().with("Tag.1.Key", key));
        [
            (format!("tag a worker with {key}"), set, allowed),
            (format!("tag a worker with {key} beside a key that is allowed"), beside, allowed),
            (format!("remove {key}"), removed, allowed),
        ]
    });
    let ours = [("CreatedBy", A), ("IdempotencyFingerprint", A)];
    let at_launch = verdicts.into_iter().chain(ours).map(|(key, allowed)| {
        let checks = calls.checks(&launch(calls).with("TagSpecification.1.Tag.9.Key", key));
        (format!("launch with the tag {key}"), checks, allowed)
    });
    later.chain(at_launch).collect()
}

/// The lists are about launches and about tag keys, and about nothing else.
fn left_alone(calls: &Calls) -> Vec<Row> {
    let tag = calls.request("CreateTags").without("Tag").with("Tag.1.Key", "cml:site").with("Tag.1.Value", "x");
    let of = |id: &str| calls.checks(&tag.clone().with("ResourceId.1", id));
    let rows = [
        ("tag another subnet", of("subnet-0b")),
        ("tag another security group", of("sg-0b")),
        ("tag a key pair", of("key-0b")),
    ];
    rows.map(|(says, checks)| (says.to_owned(), checks, A)).into()
}
