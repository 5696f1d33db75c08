//! `make run`: a local AWS with `template.yaml` deployed, until Ctrl-C.
//! `make watch`: a local AWS, and `cargo lambda watch` in front of it.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for a terminal")]

use std::error::Error;
use std::os::unix::process::parent_id;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};
use std::{env, fs, io, iter};

use aws_sdk_ec2::types::Filter;
use serde_json::json;
use tests::client::{Client, with_query};
use tests::stack::program::{Program, Surroundings};
use tests::stack::{
    self, Ec2, LocalAws, Options, REGION, ROOT_ACCESS_KEY_ID, ROOT_SECRET_ACCESS_KEY, Result, Stack, StackInfo,
    cloudwatch, free_port, local_folder, measurements, repository, tool,
};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, interval, interval_at, sleep};

/// How long the API may take to answer its first call with 200.
const ANSWER_BOUND: Duration = Duration::from_secs(60);

/// How often it is looked whether everything still runs.
const CHECK_PERIOD: Duration = Duration::from_secs(1);

/// How many minutes of CPU and memory data there are from the start: enough for the call that is printed.
const PAST_MINUTES: u32 = 10;

#[tokio::main]
async fn main() -> ExitCode {
    match work().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", with_causes(&*error));
            ExitCode::FAILURE
        }
    }
}

/// The SDK's own words are "service error" and "dispatch failure"; the causes say which.
fn with_causes(error: &(dyn Error + 'static)) -> String {
    let causes = iter::successors(Some(error), |&error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

async fn work() -> Result<()> {
    let options = Options { ec2: ec2()?, demo: true, progress: say, ..Options::default() };
    match env::args().nth(1).as_deref() {
        None => run(options, End::new()?).await,
        Some("watch") => watch(options, End::new()?).await,
        Some(other) => Err(format!("unknown argument {other}: it is `watch` or nothing").into()),
    }
}

/// A step, with the time that it and the build before it began at, as the Makefile says its own.
fn say(step: &str) {
    static BEGAN: OnceLock<u64> = OnceLock::new();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_secs());
    let began = BEGAN.get_or_init(|| env::var("BEGAN").ok().and_then(|began| began.parse().ok()).unwrap_or(now));
    let seconds = now.saturating_sub(*began);
    println!("[{}:{:02}] {step}", seconds / 60, seconds % 60);
}

fn ec2() -> Result<Ec2> {
    match env::var("EC2").as_deref() {
        Err(_) | Ok("" | "moto") => Ok(Ec2::Moto),
        Ok("ministack") => Ok(Ec2::Ministack),
        Ok(other) => Err(format!("EC2={other} is neither moto nor ministack").into()),
    }
}

async fn run(options: Options, mut end: End) -> Result<()> {
    let Some(mut stack) = end.unless_asked(Stack::start(options)).await? else {
        return Ok(());
    };
    let file = StackFile::write(&stack.info)?;
    end.unless_asked(serve(&mut stack)).await?;
    drop(file);
    stack.stop()
}

async fn serve(stack: &mut Stack) -> Result<()> {
    say("waiting for the API's first answer");
    wait_for_answer(&stack.info).await.or_else(|error| stack.aws.check().and(Err(error)))?;
    let cloudwatch = cloudwatch(&stack.aws.endpoint());
    measurements::publish_past(&cloudwatch, &stack.aws.workers.demo, PAST_MINUTES).await?;
    print_calls(&stack.info, &stack.aws.workers.demo);
    println!("ready");
    println!("Next: paste one of these lines into another terminal. Ctrl-C ends everything that was started here.");
    keep_up(&mut stack.aws, None).await
}

async fn watch(options: Options, mut end: End) -> Result<()> {
    let Some(mut aws) = end.unless_asked(LocalAws::start(&options)).await? else {
        return Ok(());
    };
    end.unless_asked(serve_watched(&mut aws)).await?;
    aws.stop()
}

async fn serve_watched(aws: &mut LocalAws) -> Result<()> {
    measurements::publish_past(&cloudwatch(&aws.endpoint()), &aws.workers.demo, PAST_MINUTES).await?;
    let port = free_port()?.to_string();
    let cargo_lambda = tool("cargo-lambda")?.display().to_string();
    let cargo = repository().join("tests/local/cargo-for-watch.sh").display().to_string();
    let (endpoint, ec2_endpoint) = (aws.endpoint(), aws.ec2_endpoint());
    let environment = [
        ("AWS_ACCESS_KEY_ID", ROOT_ACCESS_KEY_ID),
        ("AWS_SECRET_ACCESS_KEY", ROOT_SECRET_ACCESS_KEY),
        ("AWS_ENDPOINT_URL", &endpoint),
        ("AWS_ENDPOINT_URL_EC2", &ec2_endpoint),
        ("AWS_REGION", REGION),
        ("CARGO", &cargo),
    ];
    say("starting cargo lambda watch");
    print_local_calls(&port, &aws.workers.demo);
    // The caller's own session would be signed with, beside a key that is not its.
    let without = ["env", "-u", "AWS_PROFILE", "-u", "AWS_SESSION_TOKEN"];
    let watch = [cargo_lambda.as_str(), "lambda", "watch", "-A", "127.0.0.1", "-P", &port];
    let command = [&without[..], &watch].concat();
    let program = Program::start(aws.folder(), "cargo-lambda", &command, Surroundings::Ours, &environment).await?;
    keep_up(aws, Some(program)).await
}

/// Those of the instances that run: of others neither EC2 nor an agent publishes anything.
async fn running(ec2: &aws_sdk_ec2::Client, instance_ids: &[String]) -> Result<Vec<String>> {
    let ids = Filter::builder().name("instance-id").set_values(Some(instance_ids.to_vec())).build();
    let running = Filter::builder().name("instance-state-name").values("running").build();
    let found = ec2.describe_instances().filters(ids).filters(running).send().await?;
    let instances = found.reservations().iter().flat_map(|reservation| reservation.instances());
    Ok(instances.filter_map(|instance| instance.instance_id().map(str::to_owned)).collect())
}

/// Publishes data of the demo workers every minute; returns when something ended by itself.
async fn keep_up(aws: &mut LocalAws, mut program: Option<Program>) -> Result<()> {
    let (cloudwatch, ec2) = (cloudwatch(&aws.endpoint()), stack::ec2(&aws.ec2_endpoint()));
    let mut check = interval(CHECK_PERIOD);
    let mut measure = interval_at(Instant::now() + measurements::PERIOD, measurements::PERIOD);
    loop {
        tokio::select! {
            _ = check.tick() => {
                aws.check()?;
                program.as_mut().map_or(Ok(()), Program::check)?;
            }
            _ = measure.tick() => {
                let running = running(&ec2, &aws.workers.demo).await?;
                measurements::publish(&cloudwatch, &running, SystemTime::now()).await?;
            }
        }
    }
}

async fn wait_for_answer(info: &StackInfo) -> Result<()> {
    let client = Client::new(&info.api_url, &info.region, &info.access_key_id, &info.secret_access_key);
    let deadline = Instant::now() + ANSWER_BOUND;
    loop {
        let answer = client.try_request("GET", "/health", None).await?;
        if answer.status == 200 {
            return Ok(());
        }
        if Instant::now() > deadline {
            let (status, seconds) = (answer.status, ANSWER_BOUND.as_secs());
            return Err(format!("GET /health answers {status} after {seconds} s: {}", answer.text).into());
        }
        sleep(CHECK_PERIOD).await;
    }
}

fn print_calls(info: &StackInfo, workers: &[String]) {
    let instances = format!("/regions/{}/instances", info.region);
    let list = with_query(&instances, &[("limit", "10"), ("state", "running")]);
    println!("\nThe API is {}\n", info.api_url);
    println!("{}", curl(info, &list, ""));
    for worker in workers.iter().take(1) {
        let utilization = with_query(&format!("{instances}/{worker}/utilization"), &[("window", "5m")]);
        println!("{}", curl(info, &utilization, ""));
    }
    let body = json!({
        "name": "cml-worker-3",
        "image_name": info.image_name,
        "instance_type": "c5.2xlarge",
        "subnet_id": info.subnet_id,
        "security_group_ids": [info.security_group_id],
        "key_name": info.key_name,
    });
    println!("{}\n", curl(info, &instances, &format!(" -H 'Content-Type: application/json' -d '{body}'")));
    print_commands(info);
}

/// The command line of `clients/python`, which is installed beside the emulators.
fn print_commands(info: &StackInfo) {
    let StackInfo { api_url, region, access_key_id, secret_access_key, image_name, .. } = info;
    println!(
        "export CML_API_URL={api_url} AWS_REGION={region} AWS_ACCESS_KEY_ID={access_key_id} \
         AWS_SECRET_ACCESS_KEY={secret_access_key}"
    );
    println!(".venv/bin/cml-workers list");
    println!(".venv/bin/cml-workers create cml-worker-4 --image-name {image_name} --instance-type m5zn.metal --wait\n");
}

/// A signed call. `--resolve`, because not every resolver knows that names under `.localhost` mean this machine.
fn curl(info: &StackInfo, path_and_query: &str, arguments: &str) -> String {
    let StackInfo { api_url, host, port, region, access_key_id, secret_access_key, .. } = info;
    format!(
        "curl --resolve {host}:{port}:127.0.0.1 --aws-sigv4 aws:amz:{region}:execute-api \
         --user {access_key_id}:{secret_access_key}{arguments} '{api_url}{path_and_query}'"
    )
}

fn print_local_calls(port: &str, workers: &[String]) {
    println!("\ncargo lambda watch builds a function at its first call. Unsigned calls go to it:\n");
    println!("curl 'http://127.0.0.1:{port}/health'");
    for worker in workers.iter().take(1) {
        println!("curl 'http://127.0.0.1:{port}/regions/{REGION}/instances/{worker}'");
    }
    let file = "events/get-all-instances.json";
    println!(".venv/bin/cargo-lambda lambda invoke get-all-instances -A 127.0.0.1 -P {port} --data-file {file}\n");
}

/// `target/local/stack.json`, there as long as this value lives.
struct StackFile {
    path: PathBuf,
    content: String,
}

impl StackFile {
    fn write(info: &StackInfo) -> Result<Self> {
        // A test that runs us shall not overwrite the file of a stack that somebody works with.
        let path = match env::var_os("STACK_FILE") {
            Some(path) => path.into(),
            None => local_folder()?.join("stack.json"),
        };
        let content = serde_json::to_string_pretty(info)?;
        fs::write(&path, &content)?;
        Ok(Self { path, content })
    }
}

impl Drop for StackFile {
    fn drop(&mut self) {
        // A later `make run` may have written its own over it.
        if fs::read_to_string(&self.path).is_ok_and(|content| content == self.content) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// What can ask us to end. Not a hangup: `nohup make run` is to survive that, and whoever it kills is cleaned up after.
struct End {
    interrupt: Signal,
    terminate: Signal,
    make: Option<u32>,
}

impl End {
    fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            make: env::var_os("MAKELEVEL").map(|_| parent_id()),
        })
    }

    /// What `work` results in, or nothing if we are asked to end before.
    async fn unless_asked<T>(&mut self, work: impl Future<Output = Result<T>>) -> Result<Option<T>> {
        tokio::select! {
            result = work => result.map(Some),
            () = self.asked() => {
                println!("stopping");
                Ok(None)
            }
        }
    }

    async fn asked(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            () = gone(self.make) => {}
        }
    }
}

/// A make that was killed cannot tell us; that our parent is another one does.
async fn gone(make: Option<u32>) {
    let mut check = interval(CHECK_PERIOD);
    while make.is_none() || make == Some(parent_id()) {
        check.tick().await;
    }
}
