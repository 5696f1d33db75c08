//! `make run`'s program, as a user meets it: it says `ready`, its curl lines work, and Ctrl-C leaves nothing behind.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tests::stack::{local_folder, repository};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// A start on a busy machine, with all packages to make.
const BOUND: Duration = Duration::from_secs(240);

const KEYS: [&str; 18] = [
    "access_key_id",
    "api_url",
    "cloudwatch_endpoint",
    "ec2_endpoint",
    "host",
    "image_id",
    "image_name",
    "key_name",
    "pids",
    "port",
    "region",
    "rest_api_id",
    "root_access_key_id",
    "root_secret_access_key",
    "secret_access_key",
    "security_group_id",
    "stage",
    "subnet_id",
];

/// Starts the program with a stack file of its own and reads what it prints up to `ready`.
async fn run(stack_file: &PathBuf) -> (Child, Vec<String>) {
    let mut program = Command::new(repository().join("target/debug/local"));
    let program = program.env("STACK_FILE", stack_file).env_remove("EC2").env_remove("MAKELEVEL");
    let mut program = program.stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let mut lines = BufReader::new(program.stdout.take().unwrap()).lines();
    let mut printed = Vec::new();
    timeout(BOUND, async {
        while let Some(line) = lines.next_line().await.unwrap() {
            if line == "ready" {
                return;
            }
            printed.push(line);
        }
        panic!("it ended before it was ready: {printed:?}");
    })
    .await
    .expect("ready in time");
    // Whoever prints into a closed pipe dies of it.
    tokio::spawn(async move { while lines.next_line().await.is_ok_and(|line| line.is_some()) {} });
    (program, printed)
}

async fn status_of(curl: &str) -> (String, Value) {
    let command = format!("{curl} -sS -w '\\n%{{http_code}}'");
    let output = Command::new("sh").args(["-c", &command]).output().await.unwrap();
    let output = String::from_utf8(output.stdout).unwrap();
    let (body, status) = output.rsplit_once('\n').unwrap_or_else(|| panic!("{curl}: {output}"));
    (status.to_owned(), serde_json::from_str(body).unwrap_or(Value::Null))
}

/// What the two lines with `cml-workers` print, in the settings of the line before them.
async fn commands(printed: &[String]) -> (String, String) {
    let export = printed.iter().find(|line| line.starts_with("export CML_API_URL=")).unwrap();
    let mut outputs = Vec::new();
    for command in printed.iter().filter(|line| line.starts_with(".venv/bin/cml-workers ")) {
        let script = format!("unset AWS_PROFILE AWS_SESSION_TOKEN; {export}; {command}");
        let run = Command::new("sh").args(["-c", &script]).current_dir(repository()).output().await.unwrap();
        assert!(run.status.success(), "{command}: {}", String::from_utf8_lossy(&run.stderr));
        outputs.push(String::from_utf8(run.stdout).unwrap().lines().map(str::trim_end).collect::<Vec<_>>().join("\n"));
    }
    outputs.try_into().map(|[listed, created]: [String; 2]| (listed, created)).unwrap()
}

/// The steps of a start that the page shows, without their times.
fn steps(page: &str) -> Vec<&str> {
    let steps: Vec<_> =
        page.lines().filter_map(|line| line.strip_prefix('[')?.split_once("] ")).map(|(_, step)| step).collect();
    assert!(steps.len() >= 3, "{steps:?}");
    steps
}

/// The processes that have anything of this folder in their command line.
fn processes_of(folder: &str) -> Vec<String> {
    let processes =
        fs::read_dir("/proc").unwrap().filter_map(|entry| fs::read(entry.unwrap().path().join("cmdline")).ok());
    processes
        .map(|line| String::from_utf8_lossy(&line).replace('\0', " "))
        .filter(|line| line.contains(folder))
        .collect()
}

fn is_alive(pid: &Value) -> bool {
    PathBuf::from(format!("/proc/{pid}")).exists()
}

#[tokio::test]
async fn make_run_prints_working_curl_lines_and_leaves_no_process() {
    let stack_file = local_folder().unwrap().join(format!("stack-of-test-{}.json", std::process::id()));
    let (mut program, printed) = run(&stack_file).await;
    let stack: Value = serde_json::from_str(&fs::read_to_string(&stack_file).unwrap()).unwrap();
    assert_eq!(stack.as_object().unwrap().keys().map(String::as_str).collect::<BTreeSet<_>>(), BTreeSet::from(KEYS));
    let pids = stack["pids"].as_array().unwrap();
    assert!(pids.len() >= 2 && pids.iter().all(is_alive), "{pids:?}");

    for line in steps(&fs::read_to_string(repository().join("docs/TESTING.md")).unwrap()) {
        assert!(printed.iter().any(|printed| printed.ends_with(line)), "docs/TESTING.md: {line}: {printed:?}");
    }

    let curls: Vec<_> = printed.iter().filter(|line| line.starts_with("curl ")).collect();
    assert_eq!(curls.len(), 3);
    let mut statuses = Vec::new();
    for curl in curls {
        let (status, body) = status_of(curl).await;
        assert!(body.is_object(), "{curl}: {status} {body}");
        if curl.contains("/utilization") {
            assert_eq!(
                (&body["cpu"]["available"], &body["memory"]["available"]),
                (&true.into(), &true.into()),
                "{body}"
            );
        }
        statuses.push(status);
    }
    assert_eq!(statuses, ["200", "200", "201"]);

    let (listed, created) = commands(&printed).await;
    assert!(listed.contains("cml-worker-1") && listed.contains("cml-worker-2"), "{listed}");
    let healthy = created.lines().find(|line| line.starts_with("status.healthy")).unwrap_or_default();
    assert!(created.contains("cml-worker-4") && healthy.ends_with(" true"), "{created}");

    let folder = local_folder().unwrap().join(format!("{}-", program.id().unwrap())).display().to_string();
    assert!(!processes_of(&folder).is_empty(), "functions run from {folder}");
    let interrupt = Command::new("kill").args(["-INT", &program.id().unwrap().to_string()]).status().await.unwrap();
    assert!(interrupt.success());
    assert!(timeout(BOUND, program.wait()).await.expect("it ends").unwrap().success());
    assert!(!pids.iter().any(is_alive), "{pids:?}");
    assert_eq!(processes_of(&folder), [""; 0]);
    assert!(!stack_file.exists());
}
