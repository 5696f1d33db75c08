//! MiniStack, and moto beside it if EC2 is moto's.

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::time::Duration;

use super::program::{Program, Surroundings};
use super::{ACCOUNT_ID, Ec2, Error, Options, Result, poll, repository, tool};

/// How long an emulator may take until it listens. The first start compiles its Python: some seconds.
const LISTEN_BOUND: Duration = Duration::from_secs(90);

/// How often another port is tried when somebody took the one we found free.
const PORT_ATTEMPTS: usize = 5;

/// moto's source of identifiers starts here, so that they are the same in each run.
const SEED: &str = "42";

/// An emulator that listens.
#[derive(Debug)]
pub struct Emulator {
    program: Program,
    /// Its port on 127.0.0.1.
    pub port: u16,
}

/// The emulators of one stack.
#[derive(Debug)]
pub struct Emulators {
    /// Everything but EC2, and EC2 too for [`Ec2::Ministack`].
    pub ministack: Emulator,
    /// EC2, for [`Ec2::Moto`].
    pub moto: Option<Emulator>,
}

impl Emulators {
    /// Starts what `options` asks for.
    ///
    /// # Errors
    /// An emulator ended or does not listen in time; the error holds the end of its log.
    pub async fn start(folder: &Path, options: &Options) -> Result<Self> {
        // moto first: MiniStack's environment, which the functions inherit, names its port.
        let moto = match options.ec2 {
            Ec2::Moto => Some(start_moto(folder).await?),
            Ec2::Ministack => None,
        };
        let ec2_endpoint = options.ec2_endpoint_for_functions.clone().or(moto.as_ref().map(Emulator::endpoint));
        let cloudwatch_endpoint = options.cloudwatch_endpoint_for_functions.clone();
        let ministack = start_ministack(folder, ec2_endpoint, cloudwatch_endpoint).await?;
        Ok(Self { ministack, moto })
    }

    /// Where EC2 is.
    pub fn ec2_endpoint(&self) -> String {
        self.moto.as_ref().unwrap_or(&self.ministack).endpoint()
    }

    /// Their process ids.
    pub fn pids(&self) -> Vec<u32> {
        self.moto.iter().chain([&self.ministack]).map(|emulator| emulator.program.pid()).collect()
    }

    /// Whether they still run.
    ///
    /// # Errors
    /// One does not: the end of its log.
    pub fn check(&mut self) -> Result<()> {
        self.moto.iter_mut().chain([&mut self.ministack]).try_for_each(|emulator| emulator.program.check())
    }
}

impl Drop for Emulators {
    fn drop(&mut self) {
        // Together: each takes a second or two.
        self.moto.iter_mut().chain([&mut self.ministack]).for_each(|emulator| emulator.program.end());
    }
}

impl Emulator {
    /// Its URL.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

async fn start_moto(folder: &Path) -> Result<Emulator> {
    let images = repository().join("tests/local/images.json").display().to_string();
    let script = repository().join("tests/local/start_moto.py").display().to_string();
    let environment = [
        ("MOTO_AMIS_PATH", images.as_str()),
        ("MOTO_ENABLE_AMI_VALIDATION", "true"),
        ("MOTO_ENABLE_KEYPAIR_VALIDATION", "true"),
        ("MOTO_EC2_ENABLE_INSTANCE_TYPE_VALIDATION", "true"),
    ];
    let python = tool("python")?.display().to_string();
    let emulator = listening("moto", async |port| {
        let port = port.to_string();
        let command = [&python, &script, "-H", "127.0.0.1", "-p", &port];
        Program::start(folder, "moto", &command, Surroundings::Own, &environment).await
    })
    .await?;
    seed(&emulator).await?;
    Ok(emulator)
}

/// Before its first EC2 request, which makes the default network: identifiers are drawn then.
async fn seed(moto: &Emulator) -> Result<()> {
    let url = format!("{}/moto-api/seed?a={SEED}", moto.endpoint());
    reqwest::Client::builder().no_proxy().build()?.post(url).send().await?.error_for_status()?;
    Ok(())
}

async fn start_ministack(
    folder: &Path,
    ec2_endpoint: Option<String>,
    cloudwatch_endpoint: Option<String>,
) -> Result<Emulator> {
    let python = tool("python")?.display().to_string();
    let script = repository().join("tests/local/start_ministack.py").display().to_string();
    let [s3, state, docker] = ["s3", "state", "no-docker"].map(|name| folder.join(name).display().to_string());
    let docker = format!("unix://{docker}");
    listening("ministack", async |port| {
        let gateway_port = port.to_string();
        let endpoint = format!("http://127.0.0.1:{port}");
        let mut environment = vec![
            ("AUTH", "true"),
            ("AWS_ENDPOINT_URL", &endpoint),
            // Lambda tells the functions what the template says: LogFormat is JSON. MiniStack does not, and hands on its own.
            ("AWS_LAMBDA_LOG_FORMAT", "JSON"),
            ("BIND_HOST", "127.0.0.1"),
            // No socket there: with a Docker on this machine, MiniStack would look through its containers.
            ("DOCKER_HOST", &docker),
            ("GATEWAY_PORT", &gateway_port),
            ("IOT_MTLS_ENABLED", "0"),
            ("LAMBDA_EXECUTOR", "local"),
            ("MINISTACK_ACCOUNT_ID", ACCOUNT_ID),
            ("S3_DATA_DIR", &s3),
            ("STATE_DIR", &state),
        ];
        environment.extend(ec2_endpoint.as_deref().map(|url| ("AWS_ENDPOINT_URL_EC2", url)));
        environment.extend(cloudwatch_endpoint.as_deref().map(|url| ("AWS_ENDPOINT_URL_CLOUDWATCH", url)));
        environment.extend(cloudwatch_endpoint.as_deref().map(|url| ("AWS_ENDPOINT_URL_SSM", url)));
        Program::start(folder, "ministack", &[&python, &script], Surroundings::Own, &environment).await
    })
    .await
}

/// Starts a program on a free port and waits until it says that it listens.
async fn listening(name: &str, start: impl AsyncFn(u16) -> Result<Program>) -> Result<Emulator> {
    let mut last = Error::from("no attempt");
    for _ in 0..PORT_ATTEMPTS {
        let port = free_port()?;
        let mut program = start(port).await?;
        match wait_until_listening(name, &mut program, port).await {
            Ok(()) => return Ok(Emulator { program, port }),
            // Between our look and its own, anyone can have taken the port.
            Err(error) if error.to_string().contains("in use") => last = error,
            Err(error) => return Err(error),
        }
    }
    Err(last)
}

/// Its own word is asked for, not an answer on the port: on a port that was lost, somebody else answers.
async fn wait_until_listening(name: &str, program: &mut Program, port: u16) -> Result<()> {
    let line = format!("Running on http://127.0.0.1:{port}");
    poll(LISTEN_BOUND, &format!("{name} to listen"), || {
        program.check()?;
        Ok(program.log().contains(&line).then_some(()))
    })
    .await
}

/// A port of 127.0.0.1 that nobody listens on right now.
///
/// # Errors
/// There is none.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
