//! Schemathesis against the deployed API: whatever it sends, the answers are those of `openapi.yaml`.

use std::io::Write;
use std::process::Stdio;
use std::time::SystemTime;

use tests::stack::{local_folder, repository, tool};
use tokio::process::Command;

use crate::world::world;

/// How many examples of each operation; more, and the systematic ones too, in `make fuzz`.
const EXAMPLES: &str = "FUZZ_EXAMPLES";
/// So many calls there are at the least, by default and in `make fuzz`.
const LEAST: usize = 200;
const LEAST_LONG: usize = 2000;
/// Repeats a run.
const SEED: &str = "FUZZ_SEED";

#[tokio::test]
async fn every_answer_is_described_in_the_openapi_document() {
    let given = std::env::var(EXAMPLES).ok();
    let (examples, phases) = match &given {
        Some(examples) => (examples.as_str(), "examples,coverage,fuzzing,stateful"),
        None => ("15", "fuzzing"),
    };
    let now = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs().to_string();
    let seed = std::env::var(SEED).unwrap_or_else(|_| now());
    let folder = local_folder().unwrap().join(format!("fuzz-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let stack = folder.join("stack.json");
    std::fs::write(&stack, serde_json::to_string(&world().stack.info).unwrap()).unwrap();
    let output = Command::new(tool("schemathesis").unwrap())
        .arg("--config-file")
        .arg(repository().join("tests/local/schemathesis.toml"))
        .arg("run")
        .arg(repository().join("openapi.yaml"))
        .args(["--url", &world().stack.info.api_url, "--phases", phases, "--max-examples", examples, "--seed", &seed])
        .args(["--suppress-health-check", "all", "--no-color"])
        .env("SCHEMATHESIS_HOOKS", repository().join("tests/local/fuzz_hooks.py"))
        .env("STACK_FILE", &stack)
        .env("NO_PROXY", "*")
        .current_dir(&folder)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    let counts = said.lines().rfind(|line| line.starts_with("fuzz: ")).unwrap_or("no count");
    writeln!(std::io::stderr(), "{counts}, {SEED}={seed}").unwrap();
    assert!(output.status.success() && counts.starts_with("fuzz: "), "{SEED}={seed}\n{said}");
    let calls: usize = counts.split(' ').nth(1).and_then(|calls| calls.parse().ok()).unwrap();
    let least = if given.is_some() { LEAST_LONG } else { LEAST };
    assert!(calls >= least, "{counts}: fewer than {least}");
    std::fs::remove_dir_all(&folder).unwrap();
}
