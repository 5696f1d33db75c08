//! `make smoke`, against the local AWS: the program that is run on AWS is known to work, and to remove what it made.

use std::collections::BTreeSet;
use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

use aws_sdk_ec2::types::Filter;
use tests::stack::{ACCOUNT_ID, STACK_NAME, repository};
use tokio::process::{Child, Command};

use crate::world::{unique, world};

/// What the local AWS cannot show; docs/PROOFS.md has these claims as not yet seen on AWS.
const NOT_SEEN_HERE: [&str; 17] = [
    // MiniStack gives SAM no values of parameters, and has no resource policies.
    "aws:SourceIp of the processed resource policy is a list of the two blocks",
    "With AllowedSourceCidrs of two other blocks a launcher's call is refused with 403",
    "With blocks that hold the caller's address the same call is answered again",
    // It has no gateway responses, and no access log.
    "The refusals of callers without the permission are problem documents, missing_permission",
    "The refusal of a call that is not signed is a problem document, missing_authentication_token",
    "The refusal of a call with a wrong secret is a problem document, invalid_signature",
    "The access log has a line after a call",
    "The line has Lambda's request id and the trace of the call",
    // Its logs keep no saved queries, and make no metrics of log lines.
    "All saved queries exist in Logs Insights",
    "The functions' metrics of the scheduled health check arrive in CloudWatch",
    // It evaluates no query.
    "The alarm on failing health checks evaluates the series of its query",
    // Its Systems Manager has no public parameters, its trails deliver nothing, and its logs test no filters.
    "An image is found by the public parameter of Systems Manager that names it",
    "The trail delivers to its log group, without an error",
    "The filter for RunInstances counts a launch and no dry run",
    // moto tags no interface at launch, and has no image with two volumes.
    "EC2 shows the ownership tag on the instance's network interfaces",
    "Both volumes of an image with two are encrypted and carry the ownership tag",
    // Nobody publishes a metric of this instance.
    "CPU utilization becomes available",
];

/// A name that no earlier run of the tests has left a ledger of.
fn stack_named(name: &str) -> String {
    format!("{}-p{}", unique(name), std::process::id())
}

/// The program for this stack, with the local AWS in the place of AWS.
fn smoke(stack: &str, arguments: &[&str]) -> Command {
    let info = &world().stack.info;
    let mut command = world().program("tests/smoke");
    command.args(["--stack", stack, "--bucket", "cml-workers-code", "--poll-seconds", "1"]);
    command.args([
        "--minutes",
        "0.05",
        "--delivery-minutes",
        "0.05",
        "--lag-seconds",
        "1",
        "--image-id",
        "ami-0b7e2d9f4a6c1835d",
    ]);
    command.arg("--template").arg(world().stack.aws.folder());
    command.arg("--api-endpoint").arg(format!("http://{{rest_api_id}}.execute-api.localhost:{}", info.port));
    command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

/// The claims of a run's table and their states.
fn table(stack: &str) -> Vec<(String, String)> {
    let text = fs::read_to_string(repository().join(format!("target/smoke/{stack}.md"))).unwrap();
    let cells = |line: &str| line.split(" | ").map(str::to_owned).collect::<Vec<_>>();
    let rows =
        text.lines().skip(2).map(cells).map(|cells| (cells[0].trim_start_matches("| ").to_owned(), cells[1].clone()));
    rows.collect()
}

async fn assert_nothing_is_left(stack: &str) {
    let ours = Filter::builder().name("tag:ManagedBy").values(format!("smoke-{stack}-*")).build();
    let alive =
        Filter::builder().name("instance-state-name").values("pending").values("running").values("stopped").build();
    let left = world().ec2().describe_instances().filters(ours).filters(alive).send().await.unwrap();
    assert!(left.reservations().is_empty(), "{:?}", left.reservations());
    let text = world().stack.run_aws("cloudformation describe-stacks --stack-name", &[stack]).await;
    assert!(text.is_err(), "{text:?}");
    let roles = world().stack.run_aws("iam list-roles --query Roles[].RoleName", &[]).await.unwrap();
    assert!(!roles.contains(&format!("smoke-{stack}")), "{roles}");
}

#[tokio::test]
async fn the_smoke_run_sees_no_wrong_claim_and_removes_what_it_made() {
    let stack = stack_named("whole");
    let output = smoke(&stack, &["--confirm", ACCOUNT_ID]).output().await.unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    let rows = table(&stack);
    let in_state = |wanted| {
        let rows = rows.iter().filter(move |(_, state)| state == wanted);
        rows.map(|(claim, _)| claim.as_str()).collect::<BTreeSet<_>>()
    };
    assert!(in_state("WRONG").is_empty(), "{text}");
    assert_eq!(in_state("not seen"), NOT_SEEN_HERE.into(), "{text}");
    assert!(in_state("seen").len() >= 40, "{text}");
    assert!(text.contains("nothing is left"), "{text}");
    assert_nothing_is_left(&stack).await;
}

#[tokio::test]
async fn a_smoke_run_without_confirmation_only_tells_the_cost() {
    for confirm in [&[][..], &["--confirm", "210987654321"]] {
        let stack = stack_named("asks");
        let output = smoke(&stack, confirm).output().await.unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(2), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
        assert!(text.contains('$') && text.contains(ACCOUNT_ID), "{text}");
        assert!(!repository().join(format!("target/smoke/{stack}.jsonl")).exists());
        assert_nothing_is_left(&stack).await;
    }
}

#[tokio::test]
async fn a_check_makes_nothing_and_names_what_stands_in_the_way() {
    let stack = stack_named("check");
    let good = smoke(&stack, &["--confirm", ACCOUNT_ID, "--check"]).output().await.unwrap();
    assert!(good.status.success(), "{}", String::from_utf8_lossy(&good.stderr));
    assert!(!repository().join(format!("target/smoke/{stack}.jsonl")).exists());

    let refused = async |stack: &str, arguments: &[&str]| {
        let output = smoke(stack, &[&["--confirm", ACCOUNT_ID, "--check"], arguments].concat()).output().await.unwrap();
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let taken = refused(STACK_NAME, &[]).await;
    assert!(taken.contains(STACK_NAME) && taken.contains("name another STACK"), "{taken}");
    let bucket = refused(&stack, &["--bucket", "no-such-bucket"]).await;
    assert!(bucket.contains("bucket no-such-bucket") && bucket.contains("aws s3 mb"), "{bucket}");
    let kind = refused(&stack, &["--instance-type", "t3.micro"]).await;
    assert!(kind.contains("t3.micro is none of the stack's types"), "{kind}");
    assert_nothing_is_left(&stack).await;
}

/// Waits until the ledger names something of this kind.
async fn made(stack: &str, kind: &str, child: &mut Child) {
    let ledger = repository().join(format!("target/smoke/{stack}.jsonl"));
    let deadline = Instant::now() + Duration::from_secs(240);
    while !fs::read_to_string(&ledger).unwrap_or_default().contains(&format!("\"kind\": \"{kind}\"")) {
        assert!(child.try_wait().unwrap().is_none(), "it ended before it made a {kind}");
        assert!(Instant::now() < deadline, "no {kind} in the ledger");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_smoke_run_that_is_interrupted_removes_what_it_made() {
    let stack = stack_named("interrupted");
    let mut child = smoke(&stack, &["--confirm", ACCOUNT_ID]).spawn().unwrap();
    made(&stack, "instance", &mut child).await;
    let pid = child.id().unwrap().to_string();
    Command::new("kill").args(["-INT", &pid]).status().await.unwrap();
    let output = child.wait_with_output().await.unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("nothing is left") && !table(&stack).is_empty(), "{text}");
    assert_nothing_is_left(&stack).await;
}
