//! AWS clients, built once per execution environment: those of the allowed regions, each when it is first needed.

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, ConfigLoader, SdkConfig};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_ec2::config::retry::RetryPartition;
use aws_sdk_ec2::error::BoxError;
use aws_smithy_async::time::SharedTimeSource;
use tokio::time::timeout;

use crate::aws::calls::CountCalls;
use crate::aws::http::{CONNECT_TIMEOUT, Http, READ_TIMEOUT};
use crate::aws::needed_elements::NeededElements;
use crate::aws::retries::{NoRetryWithoutCapacity, RetryBroken};
use crate::aws::whole_answer::WholeAnswer;
use crate::config::Config;
use crate::error::{Code, Error};
use crate::model::region::Region;
use crate::model::time::rfc3339;

/// How long the start of a function waits at most for its connection to EC2. Without one it still serves.
const LONGEST_START: Duration = Duration::from_secs(1);
/// The longest time for one attempt of a call, to the last byte of the answer.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest time for all attempts of a call together. It is less than the budget of the invocation, which ends a call too.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(20);
/// How often a call is sent at most. After an error that may pass by itself the SDK sends it two more times, each after a
/// pause that doubles, with jitter. Nothing else in this crate repeats a call that the SDK gave up.
const ATTEMPTS: u32 = 3;

/// The AWS clients of one function, and the configuration that limits what they may be used for.
#[derive(Debug)]
pub struct Clients {
    config: Config,
    /// The settings that the clients share.
    sdk: SdkConfig,
    retries: Option<RetryPartition>,
    regions: BTreeMap<Region, RegionClients>,
    /// The clock by which the SDK signs the requests. All other code uses it too.
    clock: SharedTimeSource,
}

/// The clients of one region. Each is built where it is asked for, so that a function which never asks for a service does not
/// carry that service's code.
#[derive(Debug, Default)]
pub(crate) struct RegionClients {
    pub(crate) ec2: OnceLock<aws_sdk_ec2::Client>,
    pub(crate) cloudwatch: OnceLock<aws_sdk_cloudwatch::Client>,
    pub(crate) ssm: OnceLock<aws_sdk_ssm::Client>,
}

/// The configuration of a service's client, with what the clients of all services have in common.
macro_rules! configuration {
    ($service:ident, $clients:expr, $region:expr) => {{
        let mut config = $service::config::Builder::from(&$clients.sdk)
            .region(aws_config::Region::new($region.to_string()))
            .retry_classifier(RetryBroken)
            .interceptor(CountCalls);
        config.set_retry_partition($clients.retries.clone());
        config
    }};
}

impl Clients {
    /// Builds the clients from the environment variables, and connects to EC2 in the function's own region.
    ///
    /// # Errors
    /// A bad variable, or a configured file of authorities that cannot be read.
    pub async fn from_env() -> Result<Self, BoxError> {
        let config = Config::from_env()?;
        let http = Http::new(config.allowed_regions.iter().all(Region::is_standard_partition))?;
        let sdk = sdk_config(&config, &http).await;
        let clients = Self::new(config, &sdk);
        clients.connect(&http).await;
        Ok(clients)
    }

    /// The clients of every region that the configuration allows, by the SDK settings that they share.
    #[must_use]
    pub fn new(config: Config, sdk: &SdkConfig) -> Self {
        Self::with_retries(config, sdk, None)
    }

    /// The clients like `new`, but with their own stock of retries. The SDK's stock is shared by the whole process.
    #[must_use]
    pub fn with_retries(config: Config, sdk: &SdkConfig, retries: Option<&RetryPartition>) -> Self {
        let regions = config.allowed_regions.iter().map(|region| (region.clone(), RegionClients::default()));
        Self {
            regions: regions.collect(),
            config,
            sdk: sdk.clone(),
            retries: retries.cloned(),
            clock: sdk.time_source().unwrap_or_default(),
        }
    }

    /// Opens a connection to EC2 in the function's own region. Lambda gives the start of a function more CPU than its
    /// invocations, and the first invocation then need not wait for a connection. The SDK makes a whole request for this,
    /// because it alone knows the endpoint, but the request is not sent.
    async fn connect(&self, http: &Http) {
        let Ok(ec2) = self.ec2(&self.config.region) else { return };
        let only_open =
            aws_sdk_ec2::config::Builder::new().http_client(http.opener()).retry_config(RetryConfig::disabled());
        let request = ec2.describe_regions().customize().config_override(only_open).send();
        // Without a connection the first request opens one, and reports what is wrong.
        let _ = timeout(LONGEST_START, request).await;
    }

    /// Takes clients that a test has built.
    #[cfg(test)]
    pub(crate) fn of(config: Config, regions: BTreeMap<Region, RegionClients>) -> Self {
        let sdk = SdkConfig::builder().behavior_version(BehaviorVersion::v2026_01_12()).build();
        Self { regions, ..Self::new(config, &sdk) }
    }

    /// The same with this source of credentials.
    #[cfg(test)]
    pub(crate) fn with_credentials(
        mut self,
        provider: impl aws_credential_types::provider::ProvideCredentials + 'static,
    ) -> Self {
        let provider = SharedCredentialsProvider::new(provider);
        self.sdk = self.sdk.into_builder().credentials_provider(provider).build();
        self
    }

    /// The current time. All code that has clients uses this clock.
    #[must_use]
    pub fn now(&self) -> SystemTime {
        self.clock.now()
    }

    /// The current time as RFC 3339 text in UTC, which sorts together with EC2's own times.
    #[must_use]
    pub(crate) fn now_as_text(&self) -> String {
        rfc3339(&self.now().into()).unwrap_or_default()
    }

    /// Where the clients get the keys with which they sign; none if none is configured.
    pub(crate) fn credentials(&self) -> Option<SharedCredentialsProvider> {
        self.sdk.credentials_provider()
    }

    /// The settings that the clients share, for a client of another service.
    pub(crate) fn settings(&self) -> &SdkConfig {
        &self.sdk
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The value of the ownership tag.
    #[must_use]
    pub fn managed_by(&self) -> &str {
        &self.config.managed_by
    }

    /// The EC2 client of a region.
    ///
    /// # Errors
    /// [`Code::RegionNotAllowed`] for a region outside `CML_ALLOWED_REGIONS`.
    pub fn ec2(&self, region: &Region) -> Result<&aws_sdk_ec2::Client, Error> {
        self.region(region).map(|clients| self.ec2_of(region, clients))
    }

    /// The EC2 client of each allowed region.
    pub fn ec2_of_each_region(&self) -> impl Iterator<Item = (&Region, &aws_sdk_ec2::Client)> {
        self.regions.iter().map(|(region, clients)| (region, self.ec2_of(region, clients)))
    }

    fn ec2_of<'c>(&self, region: &Region, clients: &'c RegionClients) -> &'c aws_sdk_ec2::Client {
        clients.ec2.get_or_init(|| {
            let config = configuration!(aws_sdk_ec2, self, region);
            let config =
                config.retry_classifier(NoRetryWithoutCapacity).interceptor(WholeAnswer).interceptor(NeededElements);
            aws_sdk_ec2::Client::from_conf(config.build())
        })
    }

    /// The CloudWatch client of a region.
    ///
    /// # Errors
    /// [`Code::RegionNotAllowed`] for a region outside `CML_ALLOWED_REGIONS`.
    pub fn cloudwatch(&self, region: &Region) -> Result<&aws_sdk_cloudwatch::Client, Error> {
        let build = || aws_sdk_cloudwatch::Client::from_conf(configuration!(aws_sdk_cloudwatch, self, region).build());
        self.region(region).map(|clients| clients.cloudwatch.get_or_init(build))
    }

    /// The Systems Manager client of a region.
    ///
    /// # Errors
    /// [`Code::RegionNotAllowed`] for a region outside `CML_ALLOWED_REGIONS`; another error if the deployment has no
    /// `CML_IMAGE_PARAMETER_ARNS` and so may not read parameters.
    pub fn ssm(&self, region: &Region) -> Result<&aws_sdk_ssm::Client, Error> {
        let clients = self.region(region)?;
        if self.config.image_parameters.is_empty() {
            let detail = "This deployment may not read parameters of Systems Manager: set CML_IMAGE_PARAMETER_ARNS";
            return Err(Error::new(Code::AwsError, detail));
        }
        let build = || aws_sdk_ssm::Client::from_conf(configuration!(aws_sdk_ssm, self, region).build());
        Ok(clients.ssm.get_or_init(build))
    }

    fn region(&self, region: &Region) -> Result<&RegionClients, Error> {
        self.regions.get(region).ok_or_else(|| {
            let allowed: Vec<&str> = self.config.allowed_regions.iter().map(Region::as_str).collect();
            Error::new(
                Code::RegionNotAllowed,
                format!("{region} is not among the allowed regions: {}", allowed.join(", ")),
            )
        })
    }
}

/// The settings of every client: how often it tries a call, and how long each try may take.
#[must_use]
pub fn settings() -> ConfigLoader {
    aws_config::defaults(BehaviorVersion::v2026_01_12())
        .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
        .timeout_config(timeouts())
        // The time of an attempt bounds a slow answer already. The SDK's watch over slow answers would miss the bytes that
        // `NeededElements` leaves out, and take an answer that comes for one that does not.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
}

async fn sdk_config(config: &Config, http: &Http) -> SdkConfig {
    let loader = settings().region(aws_config::Region::new(config.region.to_string())).http_client(http.client());
    // Lambda passes the role's keys in the environment, and looking nowhere else saves 1 ms of each cold start. Outside of
    // Lambda a developer's profile or an instance profile works through the default chain.
    let loader = match std::env::var_os("AWS_ACCESS_KEY_ID") {
        Some(_) => loader.credentials_provider(EnvironmentVariableCredentialsProvider::new()),
        None => loader,
    };
    loader.load().await
}

fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(READ_TIMEOUT)
        .operation_attempt_timeout(ATTEMPT_TIMEOUT)
        .operation_timeout(OPERATION_TIMEOUT)
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{AWS_REGION, CML_ALLOWED_REGIONS, CML_IMAGE_PARAMETER_ARNS};

    #[test]
    fn each_region_has_clients_of_its_own() {
        let variable = |name: &str| match name {
            AWS_REGION => Some("us-east-1"),
            CML_ALLOWED_REGIONS => Some("us-east-1,eu-west-1"),
            CML_IMAGE_PARAMETER_ARNS => Some("arn:aws:ssm:us-east-1:123456789012:parameter/cml/*"),
            _ => None,
        };
        let config = Config::read(|name| variable(name).map(str::to_owned)).unwrap();
        let clients =
            Clients::new(config, &SdkConfig::builder().behavior_version(BehaviorVersion::v2026_01_12()).build());
        assert_eq!(clients.ec2_of_each_region().count(), 2);
        for (region, ec2) in clients.ec2_of_each_region() {
            assert_eq!(ec2.config().region().map(AsRef::as_ref), Some(region.as_str()));
        }
        for region in clients.config().allowed_regions.clone() {
            let own = Some(region.as_str());
            let of = |region: Option<&aws_config::Region>| region.map(|region| region.as_ref().to_owned());
            assert_eq!(of(clients.ec2(&region).unwrap().config().region()).as_deref(), own);
            assert_eq!(of(clients.cloudwatch(&region).unwrap().config().region()).as_deref(), own);
            assert_eq!(of(clients.ssm(&region).unwrap().config().region()).as_deref(), own);
        }
        let other = Region::try_from("us-west-2".to_owned()).unwrap();
        assert_eq!(clients.ec2(&other).unwrap_err().code, Code::RegionNotAllowed);
    }
}
