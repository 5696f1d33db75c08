//! EventBridge's schedule, and EC2's events: look after all workers.
//!
//! IAM: `ec2:DescribeInstances`, `ec2:DescribeInstanceStatus`, `cloudwatch:GetMetricStatistics`, `ec2:CreateTags`, `ec2:DeleteTags`, `ec2:StopInstances`, `ec2:TerminateInstances`, `events:PutEvents`.
//! A role of its own has them. It stops and terminates nothing unless a parameter of the deployment says so.
//! Event: `events/sweep-workers.json`.

use shared::ops::sweep_workers::{OPERATION, Sweeper, handle};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    shared::serve_events(&OPERATION, Sweeper::from_env(), handle).await
}
