//! The permission self-test of the sweep's role. Reads are carried out, and changes are sent with DryRun.

use std::collections::BTreeMap;

use aws_sdk_cloudwatch::types::Statistic;

use crate::aws::clients::Clients;
use crate::error::Error;
use crate::model::region::Region;
use crate::model::sweep::MARK_KEY;
use crate::model::tags::tag;
use crate::model::utilization::MetricName;
use crate::ops::health::self_test::verdicts::{Answer, OF_THE_SWEEP, Permission, Reason, verdicts};
use crate::ops::health::self_test::{asked, find_instance, tried};

/// The length of the read of CloudWatch, in seconds. What it finds does not matter.
const A_MINUTE: u64 = 60;

/// The actions that change an instance, as far as the rules send them.
fn changes(clients: &Clients) -> Vec<&'static str> {
    let rules = &clients.config().sweep.rules;
    let acts = [("ec2:StopInstances", rules.stops()), ("ec2:TerminateInstances", rules.terminates())];
    let acts = acts.into_iter().filter_map(|(action, is_sent)| is_sent.then_some(action));
    ["ec2:CreateTags", "ec2:DeleteTags"].into_iter().chain(acts).collect()
}

/// Tries every action of the sweep that the deployment's rules use.
pub(super) async fn self_test(clients: &Clients, region: &Region) -> Result<Vec<Permission>, Error> {
    let (ec2, cloudwatch) = (clients.ec2(region)?, clients.cloudwatch(region)?);
    let (metric, now) = (MetricName::CpuUtilization, clients.now());
    let (instance, status, metrics) = tokio::join!(
        find_instance(clients, region),
        ec2.describe_instance_status().max_results(5).send(),
        cloudwatch
            .get_metric_statistics()
            .namespace(metric.namespace())
            .metric_name(metric.name())
            .start_time((now - std::time::Duration::from_secs(A_MINUTE)).into())
            .end_time(now.into())
            .period(60)
            .statistics(Statistic::Average)
            .send(),
    );
    let mut answers: BTreeMap<&'static str, Answer> = BTreeMap::from([tried(status), tried(metrics)]);
    let no_dry_run = "EventBridge has no dry run: the next change of a worker shows whether its event is published";
    answers.insert("events:PutEvents", Err(Reason::NotAsked(no_dry_run)));
    for action in changes(clients) {
        let id = instance.as_ref().ok().and_then(Option::as_ref).map(|instance| instance.instance_id.as_str());
        let answer = match id {
            Some(id) => ask(ec2, action, id).await,
            None => Err(Reason::NotAsked("there is no managed instance on which the action can be tried")),
        };
        answers.insert(action, answer);
    }
    answers.insert("ec2:DescribeInstances", instance.map(|_| ()).map_err(Reason::refused));
    Ok(verdicts(answers, region, clients.config(), OF_THE_SWEEP))
}

/// Sends a change of this instance as a dry run.
async fn ask(ec2: &aws_sdk_ec2::Client, action: &str, id: &str) -> Answer {
    let mark = tag(MARK_KEY, "permission-self-test");
    let (_, answer) = match action {
        "ec2:CreateTags" => asked(ec2.create_tags().resources(id).tags(mark).dry_run(true).send().await),
        "ec2:DeleteTags" => asked(ec2.delete_tags().resources(id).tags(mark).dry_run(true).send().await),
        "ec2:StopInstances" => asked(ec2.stop_instances().instance_ids(id).dry_run(true).send().await),
        _ => asked(ec2.terminate_instances().instance_ids(id).dry_run(true).send().await),
    };
    answer
}
