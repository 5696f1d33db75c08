//! The sweep as `template.yaml` deploys it.

use std::collections::BTreeMap;
use std::fs;

use serde_json::{Value, json};
use shared::config::Config;
use shared::config::sweep::{
    CML_GRACE_MINUTES, CML_HEARTBEAT_MINUTES, CML_IDLE_CPU_PERCENT, CML_IDLE_MINUTES, CML_MARK_MINUTES,
    CML_MOST_ACTIONS_PER_HOUR, CML_MOST_ACTIONS_PER_SWEEP, CML_ON_IDLE, CML_ON_IMPAIRED, CML_ON_ORPHAN, Sweep,
};
use shared::ops::SCHEDULED;
use tests::stack::{ACCOUNT_ID, STACK_NAME, repository};

use crate::world::{MISSING, REGION, unique, world};

/// The parameters of the template that are numbers, with the variables that they become.
const NUMBERS: [(&str, &str); 7] = [
    ("IdleCpuPercent", CML_IDLE_CPU_PERCENT),
    ("IdleMinutes", CML_IDLE_MINUTES),
    ("GraceMinutes", CML_GRACE_MINUTES),
    ("HeartbeatMinutes", CML_HEARTBEAT_MINUTES),
    ("MarkMinutes", CML_MARK_MINUTES),
    ("MostActionsPerSweep", CML_MOST_ACTIONS_PER_SWEEP),
    ("MostActionsPerHour", CML_MOST_ACTIONS_PER_HOUR),
];

/// Those that are words.
const WORDS: [(&str, &str); 3] =
    [("OnIdle", CML_ON_IDLE), ("OnImpaired", CML_ON_IMPAIRED), ("OnOrphan", CML_ON_ORPHAN)];

fn name() -> String {
    let [sweep] = SCHEDULED;
    format!("{STACK_NAME}-{}", sweep.name)
}

async fn function() -> Value {
    let found = world().aws("lambda get-function-configuration", &["--function-name", &name()]).await;
    assert_eq!(found["FunctionName"], name());
    found
}

/// The members of a parameter of the template that stand in one line.
fn parameter(name: &str) -> BTreeMap<String, String> {
    let template = fs::read_to_string(repository().join("template.yaml")).unwrap();
    let text = template.split_once(&format!("\n  {name}:\n")).unwrap().1;
    let members =
        text.lines().take_while(|line| line.starts_with("    ")).filter_map(|line| line.trim().split_once(": "));
    members.map(|(member, value)| (member.to_owned(), value.trim_matches('"').to_owned())).collect()
}

/// What a function with this variable reads.
fn read(variable: &str, value: &str) -> Option<Sweep> {
    let given = |name: &str| match name {
        "AWS_REGION" => Some(REGION.to_owned()),
        _ => (name == variable).then(|| value.to_owned()),
    };
    Config::read(given).ok().map(|config| config.sweep)
}

#[tokio::test]
async fn by_default_the_deployed_function_has_the_rules_of_no_variable() {
    let variables = function().await["Environment"]["Variables"].as_object().unwrap().clone();
    let given = |name: &str| match name {
        "AWS_REGION" => Some(REGION.to_owned()),
        _ => variables.get(name).map(|value| value.as_str().unwrap().to_owned()),
    };
    let config = Config::read(given).unwrap();
    assert_eq!(config.sweep, Sweep::default());
    for (_, variable) in NUMBERS.iter().chain(&WORDS) {
        assert!(variables.contains_key(*variable), "{variable}");
    }
    assert_eq!(
        (config.managed_by.as_str(), variables["CML_POLICY_MODE"].as_str()),
        ("cml-cloud-manager", Some("hardened"))
    );
}

#[test]
fn the_template_refuses_exactly_what_the_function_refuses() {
    for (name, variable) in NUMBERS {
        let number = |member: &str| parameter(name)[member].parse::<f64>().unwrap();
        let step = if name == "IdleCpuPercent" { 0.05 } else { 1.0 };
        let (least, most) = (number("MinValue"), number("MaxValue"));
        for (value, taken) in [(least, true), (most, true), (least - step, false), (most + step, false)] {
            assert_eq!(read(variable, &value.to_string()).is_some(), taken, "{name}: {value}");
        }
    }
    let every = ["off", "report", "stop", "terminate", "start", ""];
    for (name, variable) in WORDS {
        let allowed = parameter(name)["AllowedValues"].clone();
        let allowed: Vec<_> = allowed.trim_matches(['[', ']']).split(", ").map(|word| word.trim_matches('"')).collect();
        let taken: Vec<_> = every.into_iter().filter(|word| read(variable, word).is_some()).collect();
        assert_eq!(taken, allowed, "{name}");
    }
}

#[tokio::test]
async fn it_has_a_role_of_its_own_that_may_write_to_its_log_and_its_queue() {
    let (function, name) = (function().await, name());
    let role = world().made(STACK_NAME, "SweepRole").await;
    assert!(function["Role"].as_str().unwrap().ends_with(&format!("role/{role}")), "{function}");
    let queue = world().made(STACK_NAME, "SweepDeadLetters").await;
    // Of its own accord the CLI asks the old address of SQS, wherever it is sent.
    let endpoint = &world().stack.info.cloudwatch_endpoint;
    let attributes = ["--endpoint-url", endpoint, "--queue-url", &queue, "--attribute-names", "All"];
    let attributes = world().aws("sqs get-queue-attributes", &attributes).await["Attributes"].clone();
    assert_eq!(attributes["MessageRetentionPeriod"], "1209600", "{attributes}");
    for (policy, resource) in [
        ("KeepFailedEvents", attributes["QueueArn"].as_str().unwrap().to_owned()),
        ("WriteFunctionLogs", format!("arn:aws:logs:{REGION}:{ACCOUNT_ID}:log-group:/aws/lambda/{name}")),
    ] {
        let arguments = ["--role-name", &role, "--policy-name", policy];
        let document = world().aws("iam get-role-policy", &arguments).await["PolicyDocument"].clone();
        assert!(document.to_string().contains(&resource), "{policy}: {document}");
    }
}

#[tokio::test]
async fn the_schedule_and_ec2s_events_call_it() {
    let arn = function().await["FunctionArn"].as_str().unwrap().to_owned();
    let names = world().aws("events list-rule-names-by-target", &["--target-arn", &arn]).await;
    let mut found = Vec::new();
    for name in names["RuleNames"].as_array().unwrap() {
        let rule = world().aws("events describe-rule", &["--name", name.as_str().unwrap()]).await;
        let pattern = rule["EventPattern"].as_str().map(|text| serde_json::from_str::<Value>(text).unwrap());
        found.push((rule["ScheduleExpression"].clone(), pattern.unwrap_or_default(), rule["State"].clone()));
    }
    found.sort_by_key(|(schedule, ..)| schedule.is_null());
    let kinds = [
        "EC2 Instance State-change Notification",
        "EC2 Spot Instance Interruption Warning",
        "EC2 Instance Rebalance Recommendation",
    ];
    let pattern = json!({"source": ["aws.ec2"], "detail-type": kinds});
    let enabled = json!("ENABLED");
    let expected = [(json!("rate(1 day)"), Value::Null, enabled.clone()), (Value::Null, pattern, enabled)];
    assert_eq!(found, expected);
}

/// Invokes the deployed function with EC2's event that an instance runs.
async fn told_that_it_runs(id: &str) -> Value {
    let event = json!({
        "version": "0", "id": "00000000-0000-4000-8000-000000000015", "account": ACCOUNT_ID, "region": REGION,
        "source": "aws.ec2", "detail-type": "EC2 Instance State-change Notification", "time": "2026-01-01T12:00:00Z",
        "resources": [format!("arn:aws:ec2:{REGION}:{ACCOUNT_ID}:instance/{id}")],
        "detail": {"instance-id": id, "state": "running"},
    });
    let file = std::env::temp_dir().join(format!("{}.{}.json", unique("swept"), std::process::id()));
    let event = event.to_string();
    let path = file.display().to_string();
    let arguments = ["--function-name", &name(), "--payload", &event, &path];
    let invoked = world().aws("lambda invoke", &arguments).await;
    let answer = fs::read_to_string(&file).unwrap();
    fs::remove_file(&file).unwrap();
    assert!(invoked["FunctionError"].is_null(), "{invoked}: {answer}");
    serde_json::from_str(&answer).unwrap()
}

/// MiniStack asks the role's policies about PutEvents and does not know the source of the events, which they ask for.
async fn allow_events_of_any_source() {
    let role = world().made(STACK_NAME, "SweepRole").await;
    let bus = format!("arn:aws:events:{REGION}:{ACCOUNT_ID}:event-bus/default");
    let statement = json!({"Effect": "Allow", "Action": "events:PutEvents", "Resource": bus});
    let policy = json!({"Version": "2012-10-17", "Statement": statement}).to_string();
    let arguments = ["--role-name", &role, "--policy-name", "AnySource", "--policy-document", &policy];
    world().stack.run_aws("iam put-role-policy", &arguments).await.unwrap();
}

#[tokio::test]
async fn an_event_of_ec2_is_passed_on_if_it_is_about_a_worker() {
    allow_events_of_any_source().await;
    let worker = world().launch().await;
    let foreign = world().launch_foreign().await;
    for (id, events) in [(worker.as_str(), 1), (&foreign, 0), (MISSING, 0)] {
        let report = told_that_it_runs(id).await;
        assert_eq!(
            (&report["regions"][0]["region"], &report["regions"][0]["events"]),
            (&json!(REGION), &json!(events)),
            "{id}"
        );
    }
    // It told, and changed nothing.
    assert_eq!(world().tags(&worker).await, json!({"ManagedBy": "cml-cloud-manager"}));
}
