//! A whole AWS on this machine with `template.yaml` deployed to it, for `make run` and for the integration tests.
//!
//! MiniStack is API Gateway, Lambda, IAM, CloudFormation, EventBridge and CloudWatch, moto is EC2; or MiniStack is that too.
//! `docs/TESTING.md` says what changes then.
//!
//! Each stack has its own ports and its own folder under `target/local`, so any number can run at once.

use std::path::Path;
use std::result;
use std::time::Duration;

use tokio::time::{Instant, sleep};

pub use caller::AccessKey;
pub use clients::{cloudwatch, ec2, ec2_in};
pub use deployment::{PACKAGED, STACK_NAME};
use emulators::Emulators;
pub use emulators::free_port;
use folder::Folder;
pub use info::StackInfo;
pub use paths::{local_folder, repository, tool};
pub use processes::pids_of;
pub use workers::{Image, Workers};

mod bundles;
mod caller;
mod cli;
pub mod clients;
mod deployment;
mod emulators;
mod folder;
mod info;
pub mod measurements;
mod paths;
mod processes;
pub mod program;
mod workers;

/// The account that everything is in.
pub const ACCOUNT_ID: &str = "123456789012";
/// The region that everything is in.
pub const REGION: &str = "us-east-1";
/// MiniStack's root key, which may do anything.
pub const ROOT_ACCESS_KEY_ID: &str = "test";
/// Its secret half.
pub const ROOT_SECRET_ACCESS_KEY: &str = "test";

/// Why there is no stack, in words for whoever started it.
pub type Error = Box<dyn std::error::Error + Send + Sync>;
/// A result with that error.
pub type Result<T> = result::Result<T, Error>;

/// Who is EC2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ec2 {
    /// moto: EC2's own checks (DryRun, images, key pairs, instance types, pagination), no permissions.
    #[default]
    Moto,
    /// MiniStack: the execution role's permissions are enforced, requests are hardly checked.
    Ministack,
}

/// What kind of stack to start.
#[derive(Clone, Debug)]
pub struct Options {
    /// Who is EC2.
    pub ec2: Ec2,
    /// Where the functions send EC2 requests, if not to EC2 itself.
    pub ec2_endpoint_for_functions: Option<String>,
    /// Where the functions send requests to CloudWatch and Systems Manager, if not to MiniStack.
    pub cloudwatch_endpoint_for_functions: Option<String>,
    /// Whether two workers run from the start.
    pub demo: bool,
    /// Parameters of `template.yaml`, as in `HealthSchedule=rate(1 minute)`; the rest keep their defaults.
    pub parameters: Vec<String>,
    /// Is told what happens next: a start takes a while.
    pub progress: fn(&str),
}

impl Default for Options {
    fn default() -> Self {
        Self {
            ec2: Ec2::default(),
            ec2_endpoint_for_functions: None,
            cloudwatch_endpoint_for_functions: None,
            demo: false,
            parameters: Vec::new(),
            progress: |_| (),
        }
    }
}

/// The emulators with images, a network and workers in EC2, and nothing deployed.
#[derive(Debug)]
pub struct LocalAws {
    emulators: Emulators,
    /// What EC2 holds.
    pub workers: Workers,
    // Last: it is removed after what works in it has ended.
    folder: Folder,
}

/// A local AWS with `template.yaml` deployed.
#[derive(Debug)]
pub struct Stack {
    /// How to reach it.
    pub info: StackInfo,
    /// What it runs on.
    pub aws: LocalAws,
    cli: cli::Cli,
}

impl Stack {
    /// Starts a local AWS, deploys the functions that are built to it, and makes a caller.
    ///
    /// # Errors
    /// Something is missing or failed. What had been started is ended; its logs stay until the next start.
    pub async fn start(options: Options) -> Result<Self> {
        let folder = Folder::create()?;
        let path = folder.path().to_owned();
        let (aws, ()) = tokio::try_join!(LocalAws::start_in(folder, &options), bundles::stage(&path))?;
        let cli = cli::Cli::new(path.clone(), aws.emulators.ministack.endpoint());
        (options.progress)("deploying template.yaml");
        deployment::make_bucket(&cli).await?;
        deployment::package(&cli, &path).await?;
        let rest_api_id = deployment::deploy(&cli, PACKAGED, STACK_NAME, &parameters(&options)).await?;
        let key = caller::create(&cli, "cml-cloud-manager", &rest_api_id, &["*"]).await?;
        Ok(Self { info: StackInfo::new(&aws, rest_api_id, key), aws, cli })
    }

    /// Deploys `template.yaml` once more, beside the first stack, with these parameters alone and transformed with their
    /// values, as on AWS. Gives the REST API's id.
    ///
    /// # Errors
    /// It cannot be deployed.
    pub async fn deploy_beside(&self, stack_name: &str, parameters: &[String]) -> Result<String> {
        deployment::deploy_transformed(&self.cli, self.aws.folder(), stack_name, parameters).await
    }

    /// Packages the templates once more, to [`PACKAGED`] in a folder below the stack's own that has other functions.
    ///
    /// # Errors
    /// A command failed.
    pub async fn package(&self, folder: &str) -> Result<()> {
        let folder = self.aws.folder().join(folder);
        deployment::package(&cli::Cli::new(folder.clone(), self.aws.endpoint()), &folder).await
    }

    /// Deploys a packaged template as a stack of this name, or over it; MiniStack transforms it. Gives the REST API's id.
    ///
    /// # Errors
    /// It cannot be deployed.
    pub async fn deploy(&self, packaged: &str, stack_name: &str, parameters: &[String]) -> Result<String> {
        deployment::deploy(&self.cli, packaged, stack_name, parameters).await
    }

    /// Makes an IAM user who may invoke these resources of the API, as in `v1/GET/*`, and nothing else.
    ///
    /// # Errors
    /// IAM refused it: a user of that name exists.
    pub async fn add_caller(&self, name: &str, resource_suffixes: &[&str]) -> Result<AccessKey> {
        self.add_caller_of(&self.info.rest_api_id, name, resource_suffixes).await
    }

    /// Makes an IAM user who may invoke these resources of another API of this local AWS.
    ///
    /// # Errors
    /// IAM refused it: a user of that name exists.
    pub async fn add_caller_of(&self, rest_api_id: &str, name: &str, resources: &[&str]) -> Result<AccessKey> {
        caller::create(&self.cli, name, rest_api_id, resources).await
    }

    /// Runs `aws` with root's keys, with the words of `command` and then `arguments` as they are; gives what it printed.
    ///
    /// # Errors
    /// It failed: the end of what it said.
    pub async fn run_aws(&self, command: &str, arguments: &[&str]) -> Result<String> {
        self.cli.run(command, arguments).await
    }

    /// Ends everything and removes its folder. Dropping a stack ends everything too, and leaves the logs.
    ///
    /// # Errors
    /// The folder cannot be removed.
    pub fn stop(self) -> Result<()> {
        self.aws.stop()
    }
}

impl LocalAws {
    /// Starts the emulators and fills EC2.
    ///
    /// # Errors
    /// Something is missing or failed. What had been started is ended; its logs stay until the next start.
    pub async fn start(options: &Options) -> Result<Self> {
        Self::start_in(Folder::create()?, options).await
    }

    async fn start_in(folder: Folder, options: &Options) -> Result<Self> {
        (options.progress)("starting the emulators");
        let emulators = Emulators::start(folder.path(), options).await?;
        let workers = workers::prepare(&ec2(&emulators.ec2_endpoint()), options.demo).await?;
        Ok(Self { emulators, workers, folder })
    }

    /// Its folder, with the logs.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where EC2 is.
    pub fn ec2_endpoint(&self) -> String {
        self.emulators.ec2_endpoint()
    }

    /// Where everything else is.
    pub fn endpoint(&self) -> String {
        self.emulators.ministack.endpoint()
    }

    /// Runs `aws` with root's keys, as [`Stack::run_aws`] does.
    ///
    /// # Errors
    /// It failed: the end of what it said.
    pub async fn run_aws(&self, command: &str, arguments: &[&str]) -> Result<String> {
        cli::Cli::new(self.folder().to_owned(), self.endpoint()).run(command, arguments).await
    }

    /// Whether the emulators still run.
    ///
    /// # Errors
    /// One does not: the end of its log.
    pub fn check(&mut self) -> Result<()> {
        self.emulators.check()
    }

    /// Ends everything and removes its folder.
    ///
    /// # Errors
    /// The folder cannot be removed.
    pub fn stop(self) -> Result<()> {
        drop(self.emulators);
        self.folder.remove()
    }
}

/// MiniStack's EC2 enforces the role's actions but knows no tag conditions: there the role gets the base policy.
fn parameters(options: &Options) -> Vec<String> {
    let mode = (options.ec2 == Ec2::Ministack).then(|| "PolicyMode=base".to_owned());
    options.parameters.iter().cloned().chain(mode).collect()
}

/// Asks until there is an answer, for things that cannot be waited on.
async fn poll<T>(bound: Duration, what: &str, mut ask: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let deadline = Instant::now() + bound;
    loop {
        if let Some(answer) = ask()? {
            return Ok(answer);
        }
        if Instant::now() > deadline {
            return Err(format!("waited {} s for {what}", bound.as_secs()).into());
        }
        sleep(Duration::from_millis(20)).await;
    }
}
