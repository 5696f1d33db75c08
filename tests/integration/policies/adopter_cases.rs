//! An operator who adopts workers with `cml-workers adopt`: by tagging what has no ownership tag, and in no other way.

use tests::iam::{Check, Request};

use super::recorded::{Calls, FOREIGN, LOWER_CASE_KEY, SECOND, UNTAGGED};
use super::{A, Case, D, Mode};

type Row = (&'static str, Vec<Check>, bool);

/// The cases, all of one mode.
pub fn cases(calls: &Calls) -> Vec<Case> {
    let rows = [adopting(calls), tagging(calls), reading(calls)].concat();
    let case = |(says, checks, allowed): Row| Case { says: says.to_owned(), mode: Mode::Adopter, checks, allowed };
    rows.into_iter().map(case).collect()
}

/// CreateTags as the program sends it, of a worker without tags.
fn adoption(calls: &Calls) -> Request {
    let tag = calls.request("CreateTags").without("Tag").with("ResourceId.1", UNTAGGED);
    tag.with("Tag.1.Key", "ManagedBy").with("Tag.1.Value", "cml-cloud-manager")
}

fn adopting(calls: &Calls) -> Vec<Row> {
    let adopt = adoption(calls);
    let of = |id| calls.checks(&adopt.clone().with("ResourceId.1", id));
    let whole = adopt.clone().with("ResourceId.2", "vol-0b").with("ResourceId.3", "eni-0b");
    vec![
        ("adopt an instance with its volume and its interface", calls.checks(&whole), A),
        ("adopt one in another region", calls.checks(&whole.in_region("eu-west-1")), A),
        ("adopt an instance of somebody else", of(FOREIGN), D),
        ("adopt an instance with an ownership key in lower case", of(LOWER_CASE_KEY), D),
        ("adopt a worker again", of(SECOND), D),
        ("adopt two, one of them somebody else's", calls.checks(&adopt.clone().with("ResourceId.2", FOREIGN)), D),
        ("adopt a security group", of("sg-0b"), D),
        ("adopt an image", of("ami-0b"), D),
        ("adopt a snapshot", of("snap-0b"), D),
    ]
}

fn tagging(calls: &Calls) -> Vec<Row> {
    let adopt = adoption(calls);
    let with = |name, value| calls.checks(&adopt.clone().with(name, value));
    let beside = adopt.clone().with("Tag.2.Key", "Name").with("Tag.2.Value", "x");
    let other = adopt.clone().without("Tag").with("Tag.1.Key", "Name").with("Tag.1.Value", "x");
    vec![
        ("give an instance to somebody else", with("Tag.1.Value", "somebody-else"), D),
        ("adopt with a key in lower case", with("Tag.1.Key", "managedby"), D),
        ("adopt and name it", calls.checks(&beside), D),
        ("name an instance", calls.checks(&other), D),
        ("tag an instance with nothing", calls.checks(&adopt.clone().without("Tag")), D),
        ("take the tag away", calls.checks(&adopt.clone().as_action("DeleteTags")), D),
        ("take it away from a worker", calls.checks(&adopt.as_action("DeleteTags").with("ResourceId.1", SECOND)), D),
    ]
}

fn reading(calls: &Calls) -> Vec<Row> {
    let read = |action| calls.checks(&calls.request("DescribeInstances").as_action(action));
    let change = |action| calls.checks(&calls.request("TerminateInstances").as_action(action));
    vec![
        ("find instances", read("DescribeInstances"), A),
        ("find images by name", read("DescribeImages"), A),
        ("find volumes", read("DescribeVolumes"), A),
        ("find interfaces", read("DescribeNetworkInterfaces"), A),
        ("read tags", read("DescribeTags"), D),
        ("stop a worker", change("StopInstances"), D),
        ("terminate a worker", change("TerminateInstances"), D),
        ("launch a worker", calls.checks(&calls.request("RunInstances")), D),
    ]
}
