//! The role of a worker: what software on it can do with the credentials that the instance is given.

use tests::iam::{Account, Check, Request, Resource, expand};

use super::recorded::{Calls, FOREIGN, SECOND};
use super::{A, Case, D, Mode};

/// The worker's role in the session of the instance.
const WORKER_ROLE: &str = "arn:aws:sts::123456789012:assumed-role/CMLWorker/i-0aaaaaaaaaaaaaaa0";

/// Credentials as a worker has them.
struct Worker<'a> {
    account: Account,
    id: &'a str,
}

impl Worker<'_> {
    fn checks(&self, request: &Request) -> Vec<Check> {
        expand(request, &self.account, WORKER_ROLE)
    }

    /// Over IMDS of this version.
    fn over_imds(&self, version: &str, request: &Request) -> Vec<Check> {
        let source = format!("arn:aws:ec2:us-east-1:{}:instance/{}", self.account.id, self.id);
        let given = |check: Check| check.with("ec2:SourceInstanceARN", &*source).with("ec2:RoleDelivery", version);
        self.checks(request).into_iter().map(given).collect()
    }

    fn with_imds_v2(&self, request: &Request) -> Vec<Check> {
        self.over_imds("2.0", request)
    }
}

/// The cases, all of one mode.
pub fn cases(calls: &Calls) -> Vec<Case> {
    let worker = Worker { account: calls.account.clone(), id: &calls.worker };
    let rows = [lifecycle(calls, &worker), metrics(calls, &worker)].concat();
    let case = |(says, checks, allowed): Row| Case { says: says.to_owned(), mode: Mode::Worker, checks, allowed };
    rows.into_iter().map(case).collect()
}

type Row = (&'static str, Vec<Check>, bool);

fn lifecycle(calls: &Calls, worker: &Worker<'_>) -> Vec<Row> {
    let terminate = calls.request("TerminateInstances");
    let terminated = |id| worker.with_imds_v2(&terminate.clone().with("InstanceId.1", id));
    let instead = |request: &str, action| worker.with_imds_v2(&calls.request(request).as_action(action));
    let given_away = |tags| {
        let mut account = worker.account.clone();
        account.resources.insert(worker.id.to_owned(), Resource::tagged(tags));
        Worker { account, id: worker.id }.with_imds_v2(&terminate)
    };
    let two = terminate.clone().with("InstanceId.2", SECOND);
    vec![
        ("a worker terminates itself", worker.with_imds_v2(&terminate), A),
        ("a worker terminates another worker", terminated(SECOND), D),
        ("a worker terminates itself and another worker", worker.with_imds_v2(&two), D),
        ("a worker terminates somebody else's instance", terminated(FOREIGN), D),
        ("a worker that is not ours any more terminates itself", given_away(&[("ManagedBy", "somebody-else")]), D),
        ("a worker without tags terminates itself", given_away(&[]), D),
        ("a worker terminates itself with credentials of IMDSv1", worker.over_imds("1.0", &terminate), D),
        ("somebody terminates a worker with the role, but from no instance", worker.checks(&terminate), D),
        ("a worker stops itself", instead("TerminateInstances", "StopInstances"), D),
        ("a worker changes its own attributes", instead("TerminateInstances", "ModifyInstanceAttribute"), D),
        ("a worker launches a worker", worker.with_imds_v2(&calls.request("RunInstances")), D),
        ("a worker tags itself", instead("CreateTags", "CreateTags"), D),
        ("the agent on a worker reads its tags", worker.with_imds_v2(&calls.request("DescribeTags")), A),
        ("it reads them with credentials of IMDSv1", worker.over_imds("1.0", &calls.request("DescribeTags")), D),
        ("a worker lists instances", worker.with_imds_v2(&calls.request("DescribeInstances")), D),
    ]
}

/// PutMetricData is the CloudWatch agent's: no function sends it, so it is made of the functions' read.
fn metrics(calls: &Calls, worker: &Worker<'_>) -> Vec<Row> {
    let put = calls.request("GetMetricStatistics").as_action("PutMetricData");
    let agents = put.clone().with("Namespace", "CWAgent");
    let to = |namespace| worker.with_imds_v2(&put.clone().with("Namespace", namespace));
    vec![
        ("a worker puts a metric of the CloudWatch agent", worker.with_imds_v2(&agents), A),
        ("a worker puts one in another region", worker.with_imds_v2(&agents.clone().in_region("eu-west-1")), A),
        ("a worker puts one with credentials of IMDSv1", worker.over_imds("1.0", &agents), D),
        ("the role puts one where no IMDS delivered the credentials", worker.checks(&agents), A),
        ("a worker puts a metric of EC2's namespace", to("AWS/EC2"), D),
        ("a worker puts a metric of a namespace in other case", to("cwagent"), D),
        ("a worker puts a metric without a namespace", worker.with_imds_v2(&put), D),
        ("a worker reads metrics", worker.with_imds_v2(&calls.request("GetMetricStatistics")), D),
    ]
}
