//! Functions as a developer runs them: their binaries on cargo-lambda's runtime API, against a local AWS.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tests::stack::program::{Program, Surroundings};
use tests::stack::{
    LocalAws, Options, REGION, ROOT_ACCESS_KEY_ID, ROOT_SECRET_ACCESS_KEY, free_port, repository, tool,
};
use tests::stub::Stub;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

/// How long a start or an answer may take.
const BOUND: Duration = Duration::from_secs(60);

/// Root's keys, as a function's environment has them.
pub const ROOT: [(&str, &str); 2] =
    [("AWS_ACCESS_KEY_ID", ROOT_ACCESS_KEY_ID), ("AWS_SECRET_ACCESS_KEY", ROOT_SECRET_ACCESS_KEY)];

/// Some functions and the AWS behind them.
pub struct Functions {
    port: String,
    pub aws: LocalAws,
    pub ec2_stub: Stub,
    pub cloudwatch_stub: Stub,
    programs: HashMap<&'static str, Program>,
    /// Like the functions, it ends when this is dropped.
    _runtime_api: Program,
}

impl Functions {
    /// Starts these functions with root's keys, and two demo workers in EC2.
    pub async fn start(names: &[&'static str]) -> Self {
        let aws = LocalAws::start(&Options { demo: true, ..Options::default() }).await.unwrap();
        let mut functions = Self::on(aws).await;
        for name in names {
            functions.add(name, name, &ROOT).await;
        }
        functions
    }

    /// No functions yet, on this AWS.
    pub async fn on(aws: LocalAws) -> Self {
        let (ec2_stub, cloudwatch_stub) = (Stub::start(&aws.ec2_endpoint()).await, Stub::start(&aws.endpoint()).await);
        let port = free_port().unwrap().to_string();
        let runtime_api = start_runtime_api(&aws, &port).await;
        Self { port, aws, ec2_stub, cloudwatch_stub, programs: HashMap::new(), _runtime_api: runtime_api }
    }

    /// Starts an operation's binary under this name, with these credentials.
    pub async fn add(&mut self, name: &'static str, operation: &str, credentials: &[(&str, &str)]) {
        let binary = repository().join("target/debug").join(operation).display().to_string();
        let runtime_api = format!("http://127.0.0.1:{}/.rt/{name}", self.port);
        let environment = [
            ("AWS_REGION", REGION),
            ("AWS_ENDPOINT_URL_CLOUDWATCH", self.cloudwatch_stub.endpoint()),
            ("AWS_ENDPOINT_URL_EC2", self.ec2_stub.endpoint()),
            // To the same emulator.
            ("AWS_ENDPOINT_URL_EVENTBRIDGE", self.cloudwatch_stub.endpoint()),
            ("AWS_LAMBDA_RUNTIME_API", &runtime_api),
            ("AWS_LAMBDA_FUNCTION_NAME", name),
            ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
        ];
        let environment = [environment.as_slice(), credentials].concat();
        let program = Program::start(self.aws.folder(), name, &[binary], Surroundings::Own, &environment).await;
        self.programs.insert(name, program.unwrap());
    }

    /// The process of a function.
    pub fn program(&self, name: &str) -> &Program {
        &self.programs[name]
    }

    /// Ends a function's process without giving it a moment.
    pub async fn kill(&mut self, name: &str) {
        let program = self.programs.get_mut(name).unwrap();
        let killed = tokio::process::Command::new("kill").args(["-KILL", &program.pid().to_string()]).status().await;
        assert!(killed.unwrap().success());
        assert!(program.finish(BOUND).await.is_err(), "killed, not ended");
    }

    /// Invokes a function with its file of `events/`, changed by `change`; gives the response's status and body.
    pub async fn call(&self, name: &str, change: impl FnOnce(&mut Value)) -> (u64, Value) {
        let response = self.respond(name, change).await;
        let body = serde_json::from_str(response["body"].as_str().unwrap()).unwrap();
        (response["statusCode"].as_u64().unwrap(), body)
    }

    /// The same; gives the response as API Gateway gets it.
    pub async fn respond(&self, name: &str, change: impl FnOnce(&mut Value)) -> Value {
        let event = fs::read_to_string(repository().join(format!("events/{name}.json"))).unwrap();
        let mut event: Value = serde_json::from_str(&event).unwrap();
        change(&mut event);
        let file = self.aws.folder().join(format!("{name}.event.json"));
        fs::write(&file, event.to_string()).unwrap();
        self.invoke(name, &file).await
    }

    /// Invokes a function with an event file.
    pub async fn invoke(&self, name: &str, event: &Path) -> Value {
        let output = self.output(name, event).await;
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{name}: {error}: {output:?}"))
    }

    /// Invokes a function with its file of `events/`, and gives the words with which the invocation fails.
    pub async fn fail(&self, name: &str) -> String {
        let output = self.output(name, &repository().join(format!("events/{name}.json"))).await;
        assert!(!output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stdout));
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    async fn output(&self, name: &str, event: &Path) -> std::process::Output {
        let invoke = tokio::process::Command::new(tool("cargo-lambda").unwrap())
            .args(["lambda", "invoke", name, "-A", "127.0.0.1", "-P", &self.port, "--data-file"])
            .arg(event)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        timeout(BOUND, invoke).await.expect("an answer in time").unwrap()
    }
}

async fn start_runtime_api(aws: &LocalAws, port: &str) -> Program {
    let cargo_lambda = tool("cargo-lambda").unwrap().display().to_string();
    let watch = [&cargo_lambda, "lambda", "watch", "--only-lambda-apis", "-A", "127.0.0.1", "-P", port];
    let watch = Program::start(aws.folder(), "cargo-lambda", &watch, Surroundings::Ours, &[]).await.unwrap();
    let connect = async {
        while TcpStream::connect(format!("127.0.0.1:{port}")).await.is_err() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(BOUND, connect).await.expect("cargo lambda watch listens");
    watch
}
