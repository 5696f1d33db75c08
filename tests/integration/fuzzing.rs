//! Schemathesis against the deployed API: whatever it sends, the answers are those of `openapi.yaml`.

use std::io::Write;
use std::process::Stdio;
use std::time::SystemTime;

use tests::stack::{local_folder, repository, tool};
use tokio::process::Command;

use crate::world::world;

/// How many examples of each operation; more, and the systematic ones too, in `make fuzz`.
const EXAMPLES: &str = "FUZZ_EXAMPLES";
/// Repeats a run.
const SEED: &str = "FUZZ_SEED";

/// Checks that cannot hold. API Gateway answers a method that a path has not as it answers an unknown path, 403 without an
/// `Allow` header. And not every good body is accepted: some fields exclude others, and what EC2 has not is a 404.
const UNCHECKED: &str = "unsupported_method,allow_header_conformance,positive_data_acceptance";

#[tokio::test]
async fn whatever_is_sent_the_answer_is_one_that_the_document_has() {
    let given = std::env::var(EXAMPLES).ok();
    let (examples, phases) = match &given {
        Some(examples) => (examples.as_str(), "examples,coverage,fuzzing"),
        None => ("15", "fuzzing"),
    };
    let now = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs().to_string();
    let seed = std::env::var(SEED).unwrap_or_else(|_| now());
    let folder = local_folder().unwrap().join(format!("fuzz-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let stack = folder.join("stack.json");
    std::fs::write(&stack, serde_json::to_string(&world().stack.info).unwrap()).unwrap();
    let output = Command::new(tool("schemathesis").unwrap())
        .arg("run")
        .arg(repository().join("openapi.yaml"))
        .args(["--url", &world().stack.info.api_url, "--phases", phases, "--max-examples", examples, "--seed", &seed])
        .args(["--checks", "all", "--exclude-checks", UNCHECKED, "--continue-on-failure", "--no-color"])
        // Unsigned calls are the check `ignored_auth`'s: their 403 is MiniStack's own, which has another body than AWS's.
        .args(["--generation-with-security-parameters", "false", "--generation-database", "none"])
        .args(["--suppress-health-check", "all"])
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
    std::fs::remove_dir_all(&folder).unwrap();
}
