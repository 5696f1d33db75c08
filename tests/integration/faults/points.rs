//! The AWS calls of the operations: where each fault is tried.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use shared::model::operation::Operation;
use tests::stub::Recorded;

use super::classes::Service;

/// One AWS call of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    /// Its name at AWS.
    pub action: &'static str,
    /// What it is for, where an operation makes the same call twice.
    pub purpose: Purpose,
}

/// What a call is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Reads what the operation answers with, or needs to know first.
    Read,
    /// Looks for what an earlier sending of a launch launched.
    LookUp,
    /// Changes something.
    Change,
    /// Sees whether EC2 shows a launch; the launch is not lost because of it.
    See,
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
                Purpose::Read if self.action == "DescribeRegions" => true,
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
/// If an operation was added and not written down here.
pub fn points(operation: &Operation) -> Vec<Point> {
    let read = |action| Point { action, purpose: Purpose::Read };
    let change = |action| vec![read("DescribeInstances"), Point { action, purpose: Purpose::Change }];
    match operation.name {
        "create-instance" => vec![
            Point { action: "DescribeInstances", purpose: Purpose::LookUp },
            read("GetParameter"),
            read("DescribeImages"),
            Point { action: "RunInstances", purpose: Purpose::Change },
            Point { action: "DescribeInstances", purpose: Purpose::See },
        ],
        "start-instance" => change("StartInstances"),
        "stop-instance" => change("StopInstances"),
        "terminate-instance" => change("TerminateInstances"),
        "update-instance-tags" => change("CreateTags"),
        "delete-instance-tags" => change("DeleteTags"),
        "get-instance-details" | "get-all-instances" => vec![read("DescribeInstances")],
        "get-instance-status" => vec![read("DescribeInstances"), read("DescribeInstanceStatus")],
        "get-instance-tags" => vec![read("DescribeInstances"), read("DescribeTags")],
        "get-instance-resources-utilization" => vec![read("DescribeInstances"), read("GetMetricStatistics")],
        "get-ami-ids-by-name" => vec![read("DescribeImages")],
        "health" => vec![read("DescribeRegions")],
        other => panic!("{other} has no points of failure here"),
    }
}

static SUBJECTS: Mutex<Option<HashSet<String>>> = Mutex::new(None);

/// Takes note of an instance that a case is about. A read of any other one is create's, of what it launched.
pub fn add_subject(id: &str) {
    SUBJECTS.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_default().insert(id.to_owned());
}

fn is_subject(id: &str) -> bool {
    SUBJECTS.lock().unwrap_or_else(PoisonError::into_inner).as_ref().is_some_and(|subjects| subjects.contains(id))
}
