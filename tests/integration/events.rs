//! Each file of `events/` is handed to its binary by cargo-lambda, as a developer hands it over.

use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use shared::ops::OPERATIONS;
use tests::stack::program::{Program, Surroundings};
use tests::stack::{
    LocalAws, Options, REGION, ROOT_ACCESS_KEY_ID, ROOT_SECRET_ACCESS_KEY, free_port, repository, tool,
};

/// The Lambda runtime API of `cargo lambda watch`, and the functions' binaries on it.
struct Functions {
    port: String,
    aws: LocalAws,
    /// They end when this is dropped.
    _programs: Vec<Program>,
}

/// Waits for an error that a function prints, or for its answer; not for longer.
const BOUND: Duration = Duration::from_secs(60);

async fn start() -> Functions {
    let aws = LocalAws::start(&Options { demo: true, ..Options::default() }).await.unwrap();
    let port = free_port().unwrap().to_string();
    let cargo_lambda = tool("cargo-lambda").unwrap().display().to_string();
    let watch = [&cargo_lambda, "lambda", "watch", "--only-lambda-apis", "-A", "127.0.0.1", "-P", &port];
    let watch = Program::start(aws.folder(), "cargo-lambda", &watch, Surroundings::Ours, &[]).await.unwrap();
    let mut programs = vec![watch];
    wait_for(&port).await;
    for operation in OPERATIONS {
        programs.push(start_function(&aws, &port, operation.name).await);
    }
    Functions { port, aws, _programs: programs }
}

async fn wait_for(port: &str) {
    let connect = async {
        while tokio::net::TcpStream::connect(format!("127.0.0.1:{port}")).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(BOUND, connect).await.expect("cargo lambda watch listens");
}

async fn start_function(aws: &LocalAws, port: &str, name: &str) -> Program {
    let binary = repository().join("target/debug").join(name).display().to_string();
    let (runtime_api, endpoint, ec2_endpoint) =
        (format!("http://127.0.0.1:{port}/.rt/{name}"), aws.endpoint(), aws.ec2_endpoint());
    let environment = [
        ("AWS_ACCESS_KEY_ID", ROOT_ACCESS_KEY_ID),
        ("AWS_SECRET_ACCESS_KEY", ROOT_SECRET_ACCESS_KEY),
        ("AWS_REGION", REGION),
        ("AWS_ENDPOINT_URL", &endpoint),
        ("AWS_ENDPOINT_URL_EC2", &ec2_endpoint),
        ("AWS_LAMBDA_RUNTIME_API", &runtime_api),
        ("AWS_LAMBDA_FUNCTION_NAME", name),
        ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
    ];
    Program::start(aws.folder(), name, &[binary], Surroundings::Own, &environment).await.unwrap()
}

impl Functions {
    async fn invoke(&self, name: &str, event: &str) -> Value {
        let invoke = tokio::process::Command::new(tool("cargo-lambda").unwrap())
            .args(["lambda", "invoke", name, "-A", "127.0.0.1", "-P", &self.port, "--data-file"])
            .arg(repository().join("events").join(event))
            .stdin(Stdio::null())
            .output();
        let output = tokio::time::timeout(BOUND, invoke).await.expect("an answer in time").unwrap();
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{name}: {error}: {output:?}"))
    }
}

#[tokio::test]
async fn each_event_file_is_answered_by_its_binary() {
    let functions = start().await;
    // moto's seed makes the first demo worker's id the same in every run, and the events name it.
    let details = std::fs::read_to_string(repository().join("events/get-instance-details.json")).unwrap();
    assert!(details.contains(&functions.aws.workers.demo[0]), "the first worker is {}", functions.aws.workers.demo[0]);
    // Reads first, then what changes the demo worker, and its termination last.
    let mut operations = OPERATIONS;
    operations.sort_by_key(|operation| (operation.method != "GET", operation.name == "terminate-instance"));
    for operation in operations {
        let answer = functions.invoke(operation.name, &format!("{}.json", operation.name)).await;
        let expected = if operation.name == "create-instance" { 201 } else { 200 };
        assert_eq!(answer["statusCode"], expected, "{}: {answer}", operation.name);
        let body: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
        assert!(body.is_object(), "{}: {answer}", operation.name);
    }
    let scheduled = functions.invoke("health", "health-schedule.json").await;
    assert_eq!(scheduled["status"], "ok", "{scheduled}");
    functions.aws.stop().unwrap();
}
