//! Start, stop and terminate: as the functions send them, and on instances that are not ours.

use tests::iam::{Check, Request};

use super::recorded::{Calls, ENCRYPTED, FOREIGN, LOWER_CASE_KEY, OTHER_CASE_VALUE, SECOND, UNTAGGED};
use super::{A, D, Row};

/// The rows: what is done to which instance, and whether with base, guardrail, hardened.
pub fn rows(calls: &Calls) -> Vec<Row> {
    [start(calls), stop(calls), terminate(calls)].concat()
}

/// The checks of an action's request, about other instances.
struct About<'a> {
    calls: &'a Calls,
    request: Request,
}

impl<'a> About<'a> {
    fn new(calls: &'a Calls, action: &str) -> Self {
        Self { calls, request: calls.request(action) }
    }

    fn instance(&self, id: &str) -> Vec<Check> {
        self.calls.checks(&self.request.clone().with("InstanceId.1", id))
    }

    fn also(&self, id: &str) -> Vec<Check> {
        self.calls.checks(&self.request.clone().with("InstanceId.2", id))
    }

    fn in_region(&self, region: &str) -> Vec<Check> {
        self.calls.checks(&self.request.clone().in_region(region))
    }
}

fn start(calls: &Calls) -> Vec<Row> {
    let about = About::new(calls, "StartInstances");
    vec![
        ("start somebody else's instance", about.instance(FOREIGN), [A, D, D]),
        ("start an untagged instance", about.instance(UNTAGGED), [A, D, D]),
        ("start an instance whose ownership value has other case", about.instance(OTHER_CASE_VALUE), [A, D, D]),
        ("start two workers", about.also(SECOND), [A, A, A]),
        ("start a worker and somebody else's instance", about.also(FOREIGN), [A, D, D]),
        ("start a worker in a region that is not allowed", about.in_region("eu-west-1"), [A, D, D]),
        ("start a worker with volumes under a customer key", about.instance(ENCRYPTED), [D, D, A]),
    ]
}

fn stop(calls: &Calls) -> Vec<Row> {
    let about = About::new(calls, "StopInstances");
    vec![
        ("stop somebody else's instance", about.instance(FOREIGN), [A, D, D]),
        ("stop an untagged instance", about.instance(UNTAGGED), [A, D, D]),
        ("stop two workers", about.also(SECOND), [A, A, A]),
        ("stop a worker and an untagged instance", about.also(UNTAGGED), [A, D, D]),
        ("stop a worker in the other allowed region", about.in_region("us-west-2"), [A, A, A]),
        ("stop a worker in a region that is not allowed", about.in_region("us-east-2"), [A, D, D]),
        ("stop a worker with volumes under a customer key", about.instance(ENCRYPTED), [A, A, A]),
    ]
}

fn terminate(calls: &Calls) -> Vec<Row> {
    let about = About::new(calls, "TerminateInstances");
    vec![
        ("terminate somebody else's instance", about.instance(FOREIGN), [A, D, D]),
        ("terminate an untagged instance", about.instance(UNTAGGED), [A, D, D]),
        ("terminate an instance whose ownership value has other case", about.instance(OTHER_CASE_VALUE), [A, D, D]),
        // IAM compares the key of a tag without case. Only the functions' own check refuses this one.
        ("terminate an instance whose ownership key is in lower case", about.instance(LOWER_CASE_KEY), [A, A, A]),
        ("terminate two workers", about.also(SECOND), [A, A, A]),
        ("terminate a worker and somebody else's instance", about.also(FOREIGN), [A, D, D]),
        ("terminate a worker in a region that is not allowed", about.in_region("eu-west-1"), [A, D, D]),
    ]
}
