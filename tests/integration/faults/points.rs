//! The AWS calls of the operations: where each fault is tried.

use std::collections::{BTreeSet, HashSet};
use std::sync::{Mutex, PoisonError};

use shared::model::operation::{Call, Operation, Purpose};
use shared::ops::health::nothing;
use tests::stub::Recorded;

use super::classes::Service;

/// One AWS call of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    /// Its name at AWS.
    pub action: &'static str,
    /// What it is for, where an operation makes the same call twice.
    pub purpose: Purpose,
    /// Whether the health check makes it.
    pub is_of_health: bool,
}

impl Point {
    /// Whose call it is.
    pub fn service(self) -> Service {
        match self.action {
            "GetMetricStatistics" => Service::CloudWatch,
            "GetParameter" => Service::Ssm,
            _ => Service::Ec2,
        }
    }

    /// Whether a request is this call, of the case with this instance and this mark.
    pub fn is(self, request: &Recorded, id: &str, mark: &str) -> bool {
        request.action == self.action
            && match self.purpose {
                // Nothing but the health check sends these, and they name nothing of the case.
                Purpose::Read if self.action == "DescribeRegions" => true,
                Purpose::Read if self.is_of_health => request.body_contains(nothing::DIMENSION),
                Purpose::Read | Purpose::Change => {
                    let in_form = request.params.values().any(|value| value == mark || value == id);
                    // JSON and CBOR have no form.
                    in_form || request.body_contains(id) || (request.params.is_empty() && request.body_contains(mark))
                }
                Purpose::LookUp => request.param("Filter.1.Name") == Some("client-token"),
                Purpose::See => request.param("InstanceId.1").is_some_and(|id| !is_subject(id)),
            }
    }
}

/// The calls of an operation, in their order. A launch asks for a parameter only if that names its image.
///
/// # Panics
/// If a row names other calls than permissions. A launch also needs the permission to tag, which is no call of its own, and
/// its parameter only if it names one.
pub fn points(operation: &Operation) -> Vec<Point> {
    let called: BTreeSet<&str> = operation.calls.iter().map(|call| call.action).collect();
    let needed =
        operation.actions.iter().copied().filter(|action| *action != "ec2:CreateTags" || called.contains(action));
    let needed: BTreeSet<&str> = needed.collect();
    let called = called.into_iter().filter(|action| *action != "ssm:GetParameter");
    assert_eq!(called.collect::<BTreeSet<_>>(), needed, "{}", operation.name);
    let is_of_health = operation.name == "health";
    let name = |action: &'static str| action.split_once(':').map_or("", |(_, name)| name);
    let point = |call: &Call| Point { action: name(call.action), purpose: call.purpose, is_of_health };
    operation.calls.iter().map(point).collect()
}

static SUBJECTS: Mutex<Option<HashSet<String>>> = Mutex::new(None);

/// Takes note of an instance that a case is about. A read of any other one is create's, of what it launched.
pub fn add_subject(id: &str) {
    SUBJECTS.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_default().insert(id.to_owned());
}

fn is_subject(id: &str) -> bool {
    SUBJECTS.lock().unwrap_or_else(PoisonError::into_inner).as_ref().is_some_and(|subjects| subjects.contains(id))
}
