//! The role of the sweep: its own calls, and all that it could be misled into.

use shared::aws::bus::SOURCE;
use shared::model::sweep::{ACTED_KEY, HEARTBEAT_KEY, KEEP_KEY, MARK_KEY, SEEN_KEY, SWEEP_KEYS};
use tests::iam::{Check, Request, Value};
use tests::stack::{ACCOUNT_ID, REGION};

use super::files::EVENT_BUS;
use super::recorded::{Calls, FOREIGN, LOWER_CASE_KEY, OTHER_CASE_VALUE, ROLE, SECOND, UNTAGGED, VOLUME};
use super::{A, Case, D, Mode};

/// The other allowed region.
const WEST: &str = "us-west-2";
/// A region that is not allowed.
const ABROAD: &str = "eu-west-1";

type Row = (&'static str, Vec<Check>, bool);

/// The cases, all of one mode.
pub fn cases(calls: &Calls) -> Vec<Case> {
    let rows = [reads(calls), marks(calls), other_tags(calls), lifecycle(calls), events(), unneeded(calls)].concat();
    let case =
        |(says, checks, allowed): Row| Case { says: format!("the sweep: {says}"), mode: Mode::Sweep, checks, allowed };
    rows.into_iter().map(case).collect()
}

fn reads(calls: &Calls) -> Vec<Row> {
    let read = |action: &str, region| calls.checks(&calls.request(action).in_region(region));
    vec![
        ("list workers", read("DescribeInstances", REGION), A),
        ("list workers in the other allowed region", read("DescribeInstances", WEST), A),
        ("list workers in a region that is not allowed", read("DescribeInstances", ABROAD), D),
        ("read statuses", read("DescribeInstanceStatus", REGION), A),
        ("read statuses in the other allowed region", read("DescribeInstanceStatus", WEST), A),
        ("read statuses in a region that is not allowed", read("DescribeInstanceStatus", ABROAD), D),
        ("read metrics", read("GetMetricStatistics", REGION), A),
        ("read metrics in the other allowed region", read("GetMetricStatistics", WEST), A),
        ("read metrics in a region that is not allowed", read("GetMetricStatistics", ABROAD), D),
    ]
}

/// A request of CreateTags or DeleteTags about the worker, with these keys and no others.
fn tagging(calls: &Calls, action: &str, keys: &[&str]) -> Request {
    let none = calls.request(action).without("Tag");
    keys.iter().enumerate().fold(none, |request, (index, key)| request.with(&format!("Tag.{}.Key", index + 1), key))
}

fn marks(calls: &Calls) -> Vec<Row> {
    let tag = |key: &str| tagging(calls, "CreateTags", &[key]);
    let mark = || tag(MARK_KEY);
    let unmark = || tagging(calls, "DeleteTags", &[MARK_KEY]);
    let of = |request: Request, id| calls.checks(&request.with("ResourceId.1", id));
    let also = |request: Request, id| calls.checks(&request.with("ResourceId.2", id));
    let abroad = |request: Request| calls.checks(&request.in_region(ABROAD));
    vec![
        ("mark a worker", calls.checks(&mark()), A),
        ("mark a worker in the other allowed region", calls.checks(&mark().in_region(WEST)), A),
        ("note an action at a worker", calls.checks(&tag(ACTED_KEY)), A),
        ("note at a worker what was told of it", calls.checks(&tag(SEEN_KEY)), A),
        ("write all its tags at once", calls.checks(&tagging(calls, "CreateTags", &SWEEP_KEYS)), A),
        ("mark two workers", also(mark(), SECOND), A),
        ("mark somebody else's instance", of(mark(), FOREIGN), D),
        ("mark an untagged instance", of(mark(), UNTAGGED), D),
        ("mark an instance whose ownership value has other case", of(mark(), OTHER_CASE_VALUE), D),
        ("mark a worker and somebody else's instance", also(mark(), FOREIGN), D),
        ("mark a volume of ours", of(mark(), VOLUME), D),
        ("mark a worker in a region that is not allowed", abroad(mark()), D),
        ("take a worker's mark away", calls.checks(&unmark()), A),
        ("take it away in the other allowed region", calls.checks(&unmark().in_region(WEST)), A),
        ("take the mark of somebody else's instance away", of(unmark(), FOREIGN), D),
        ("take the mark of an untagged instance away", of(unmark(), UNTAGGED), D),
        ("take the mark of a volume of ours away", of(unmark(), VOLUME), D),
        ("take a mark away in a region that is not allowed", abroad(unmark()), D),
    ]
}

/// Tags that are not the sweep's, each alone and beside one of its own.
fn other_tags(calls: &Calls) -> Vec<Row> {
    let set = |keys: &[&str]| calls.checks(&tagging(calls, "CreateTags", keys));
    let removed = |keys: &[&str]| calls.checks(&tagging(calls, "DeleteTags", keys));
    let claim = tagging(calls, "CreateTags", &["ManagedBy"]).with("Tag.1.Value", "cml-cloud-manager");
    let claim = calls.checks(&claim.with("ResourceId.1", UNTAGGED));
    vec![
        ("set another tag", set(&["Lab"]), D),
        ("set another tag beside its own", set(&[MARK_KEY, "Lab"]), D),
        ("set its own key in other case", set(&["CML:Mark"]), D),
        ("set a key that begins like its own", set(&["cml:marks"]), D),
        ("pretend a heartbeat", set(&[HEARTBEAT_KEY]), D),
        ("set the tag that keeps a worker", set(&[KEEP_KEY]), D),
        ("give a worker away", set(&["ManagedBy"]), D),
        ("give a worker away in lower case", set(&["managedby"]), D),
        ("give a worker away beside a mark", set(&[MARK_KEY, "ManagedBy"]), D),
        ("claim an untagged instance", claim, D),
        ("say who made a worker", set(&["CreatedBy"]), D),
        ("make a worker another request's", set(&["IdempotencyFingerprint"]), D),
        ("set no tag", set(&[]), D),
        ("remove another tag", removed(&["Lab"]), D),
        ("remove another tag beside its own", removed(&[SEEN_KEY, "Lab"]), D),
        ("remove the tag that keeps a worker", removed(&[KEEP_KEY]), D),
        ("remove the ownership tag", removed(&["ManagedBy"]), D),
        ("remove the ownership tag beside a mark", removed(&[MARK_KEY, "ManagedBy"]), D),
        ("remove all tags of a worker by naming none", removed(&[]), D),
    ]
}

fn lifecycle(calls: &Calls) -> Vec<Row> {
    let (stop, terminate) = (calls.request("StopInstances"), calls.request("TerminateInstances"));
    let of = |request: &Request, id| calls.checks(&request.clone().with("InstanceId.1", id));
    let also = |request: &Request, id| calls.checks(&request.clone().with("InstanceId.2", id));
    let region = |request: &Request, region| calls.checks(&request.clone().in_region(region));
    vec![
        ("stop a worker", calls.checks(&stop), A),
        ("stop a worker in the other allowed region", region(&stop, WEST), A),
        ("stop two workers", also(&stop, SECOND), A),
        ("stop somebody else's instance", of(&stop, FOREIGN), D),
        ("stop an untagged instance", of(&stop, UNTAGGED), D),
        ("stop an instance whose ownership value has other case", of(&stop, OTHER_CASE_VALUE), D),
        ("stop a worker and somebody else's instance", also(&stop, FOREIGN), D),
        ("stop a worker in a region that is not allowed", region(&stop, ABROAD), D),
        ("terminate a worker", calls.checks(&terminate), A),
        ("terminate a worker in the other allowed region", region(&terminate, WEST), A),
        ("terminate two workers", also(&terminate, SECOND), A),
        ("terminate somebody else's instance", of(&terminate, FOREIGN), D),
        ("terminate an untagged instance", of(&terminate, UNTAGGED), D),
        ("terminate an instance whose ownership value has other case", of(&terminate, OTHER_CASE_VALUE), D),
        // IAM compares the key of a tag without case. Only the sweep's own check refuses this one.
        ("terminate an instance whose ownership key is in lower case", of(&terminate, LOWER_CASE_KEY), A),
        ("terminate a worker and somebody else's instance", also(&terminate, FOREIGN), D),
        ("terminate a worker in a region that is not allowed", region(&terminate, ABROAD), D),
    ]
}

/// PutEvents on a bus, of events with these sources.
fn put(bus: &str, sources: &[&str]) -> Check {
    let sources = sources.iter().map(|source| (*source).to_owned()).collect();
    without_source(bus).with("events:source", Value::Texts(sources))
}

fn without_source(bus: &str) -> Check {
    let check = Check::new("events:PutEvents", bus).with("aws:RequestedRegion", REGION);
    check.with("events:eventBusInvocation", "false").by(ROLE)
}

fn bus(region: &str, account: &str, name: &str) -> String {
    format!("arn:aws:events:{region}:{account}:event-bus/{name}")
}

fn events() -> Vec<Row> {
    let own = bus(REGION, ACCOUNT_ID, EVENT_BUS);
    let on = |region, account, name| vec![put(&bus(region, account, name), &[SOURCE])];
    let from = |sources: &[&str]| vec![put(&own, sources)];
    let instead = |action: &str| vec![Check { action: action.to_owned(), ..put(&own, &[SOURCE]) }];
    vec![
        ("tell a change", from(&[SOURCE]), A),
        ("tell several changes at once", from(&[SOURCE, SOURCE]), A),
        ("tell a change in EC2's name", from(&["aws.ec2"]), D),
        ("tell a change in the name of another program", from(&["cml.workers.other"]), D),
        ("tell changes in its own and in another name", from(&[SOURCE, "other"]), D),
        ("tell a change in no name", vec![without_source(&own)], D),
        ("tell a change on the default bus instead", on(REGION, ACCOUNT_ID, "default"), D),
        ("tell a change on a bus whose name begins like its own", on(REGION, ACCOUNT_ID, "cml-events-2"), D),
        ("tell a change in the other allowed region", on(WEST, ACCOUNT_ID, EVENT_BUS), D),
        ("tell a change to another account", on(REGION, "999999999999", EVENT_BUS), D),
        ("delete its bus", vec![Check { action: "events:DeleteEventBus".to_owned(), ..without_source(&own) }], D),
        ("make a rule", instead("events:PutRule").into_iter().map(on_rule).collect(), D),
    ]
}

fn on_rule(check: Check) -> Check {
    Check { resource: format!("arn:aws:events:{REGION}:{ACCOUNT_ID}:rule/{EVENT_BUS}/cml"), ..check }
}

fn unneeded(calls: &Calls) -> Vec<Row> {
    let stop = calls.request("StopInstances");
    let instead = |request: &Request, action| calls.checks(&request.clone().as_action(action));
    let (read, metrics) = (calls.request("DescribeInstances"), calls.request("GetMetricStatistics"));
    let own_tag = calls.checks(&tagging(calls, "CreateTags", &[MARK_KEY])).into_iter();
    // CreateImage knows the keys of a tag request too.
    let image = own_tag.map(|check| Check { action: "ec2:CreateImage".to_owned(), ..check }).collect();
    let launch = calls.checks(&calls.request("RunInstances"));
    let at_launch = launch.iter().filter(|check| check.action == "ec2:CreateTags").cloned().collect();
    let pass = Check::new("iam:PassRole", "arn:aws:iam::123456789012:role/CMLWorker").by(ROLE);
    vec![
        ("launch a worker", launch, D),
        ("tag what a launch makes", at_launch, D),
        ("start a worker", calls.checks(&calls.request("StartInstances")), D),
        ("reboot a worker", instead(&stop, "RebootInstances"), D),
        ("change a worker's attributes", instead(&stop, "ModifyInstanceAttribute"), D),
        ("make an image of a worker with its own tag", image, D),
        ("list images", calls.checks(&calls.request("DescribeImages")), D),
        ("list regions", calls.checks(&calls.request("DescribeRegions")), D),
        ("list tags", calls.checks(&calls.request("DescribeTags")), D),
        ("list volumes", instead(&read, "DescribeVolumes"), D),
        ("list alarms", instead(&metrics, "DescribeAlarms"), D),
        ("write metrics", instead(&metrics, "PutMetricData"), D),
        ("pass the workers' role to EC2", vec![pass.with("iam:PassedToService", "ec2.amazonaws.com")], D),
    ]
}

/// Every change that its policy speaks of, on every kind of instance, in every kind of region, with every kind of tag.
pub fn every_change(calls: &Calls) -> Vec<Check> {
    let mut checks = Vec::new();
    let ids = [&calls.worker, SECOND, FOREIGN, UNTAGGED, LOWER_CASE_KEY, OTHER_CASE_VALUE, VOLUME, "sg-0b", "ami-0b"];
    let keys = [MARK_KEY, ACTED_KEY, SEEN_KEY, "Lab", "ManagedBy", "managedby", "CreatedBy"];
    let pairs = keys.iter().flat_map(|one| keys.iter().map(move |other| vec![*one, *other]));
    let sets: Vec<Vec<&str>> = [vec![vec![]], keys.iter().map(|key| vec![*key]).collect(), pairs.collect()].concat();
    for region in [REGION, WEST, ABROAD] {
        for id in ids {
            for action in ["StartInstances", "StopInstances", "TerminateInstances"] {
                checks.extend(calls.checks(&calls.request(action).with("InstanceId.1", id).in_region(region)));
            }
            for (action, keys) in
                ["CreateTags", "DeleteTags"].iter().flat_map(|a| sets.iter().map(move |keys| (a, keys)))
            {
                checks.extend(calls.checks(&tagging(calls, action, keys).with("ResourceId.1", id).in_region(region)));
            }
        }
    }
    checks
}
