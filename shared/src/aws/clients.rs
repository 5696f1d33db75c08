//! AWS clients, built once per execution environment: one set for each allowed region.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, ConfigLoader, SdkConfig};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_ec2::config::SharedHttpClient;
use aws_sdk_ec2::config::retry::RetryPartition;
use aws_sdk_ec2::error::BoxError;
use aws_smithy_async::time::SharedTimeSource;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};

use crate::aws::calls::CountCalls;
use crate::aws::retries::{NoRetryWithoutCapacity, RetryBroken};
use crate::aws::whole_answer::WholeAnswer;
use crate::config::Config;
use crate::error::{Code, Error};
use crate::model::region::Region;
use crate::model::time::rfc3339;

/// The certificate authorities to which every endpoint of the standard partition chains: Amazon Root CA 1-4 and Starfield
/// Services Root G2. Parsing the system's 145 instead costs 6.5 ms of each cold start.
const AMAZON_ROOTS: &[u8] = include_bytes!("amazon_roots.pem");

/// The variables that name a file of trusted authorities, as every AWS SDK and OpenSSL read them. Such a file replaces
/// [`AMAZON_ROOTS`].
const CA_FILES: [&str; 2] = ["AWS_CA_BUNDLE", "SSL_CERT_FILE"];

/// The longest time for one attempt to connect; the SDK tries again.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// The longest time to the first byte of an answer. RunInstances, the slowest call, answers within seconds.
const READ_TIMEOUT: Duration = Duration::from_secs(9);
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
    regions: BTreeMap<Region, RegionClients>,
    /// The clock by which the SDK signs the requests. All other code uses it too.
    clock: SharedTimeSource,
    /// Where the clients get the keys with which they sign. The health check asks of what kind they are.
    credentials: Option<SharedCredentialsProvider>,
}

/// The clients of one region.
#[derive(Debug, Clone)]
pub struct RegionClients {
    /// The EC2 client.
    pub ec2: aws_sdk_ec2::Client,
    /// The CloudWatch client.
    pub cloudwatch: aws_sdk_cloudwatch::Client,
    /// The Systems Manager client, if its parameters may name images. Most deployments do without it and start faster.
    pub ssm: Option<aws_sdk_ssm::Client>,
}

impl Clients {
    /// Builds the clients from the environment variables.
    ///
    /// # Errors
    /// A bad variable, or a configured file of authorities that cannot be read.
    pub async fn from_env() -> Result<Self, BoxError> {
        Self::from_env_with_settings().await.map(|(clients, _)| clients)
    }

    /// Builds the clients like `from_env`, and gives the settings that they share, for a client of another service.
    ///
    /// # Errors
    /// Those of `from_env`.
    pub async fn from_env_with_settings() -> Result<(Self, SdkConfig), BoxError> {
        let config = Config::from_env()?;
        let sdk = sdk_config(&config).await?;
        Ok((Self::new(config, &sdk), sdk))
    }

    /// Builds the clients of every region that the configuration allows, from the SDK settings that they share.
    #[must_use]
    pub fn new(config: Config, sdk: &SdkConfig) -> Self {
        Self::with_retries(config, sdk, None)
    }

    /// Builds the clients like `new`, but with their own stock of retries. The SDK's stock is shared by the whole process.
    #[must_use]
    pub fn with_retries(config: Config, sdk: &SdkConfig, retries: Option<&RetryPartition>) -> Self {
        let with_ssm = !config.image_parameters.is_empty();
        let regions = config.allowed_regions.iter();
        let regions = regions.map(|region| (region.clone(), RegionClients::new(sdk, region, with_ssm, retries)));
        Self {
            regions: regions.collect(),
            config,
            clock: sdk.time_source().unwrap_or_default(),
            credentials: sdk.credentials_provider(),
        }
    }

    /// Takes clients that a test has built.
    #[cfg(test)]
    pub(crate) fn of(config: Config, regions: BTreeMap<Region, RegionClients>) -> Self {
        Self { config, regions, clock: SharedTimeSource::default(), credentials: None }
    }

    /// The same with this source of credentials.
    #[cfg(test)]
    pub(crate) fn with_credentials(
        mut self,
        provider: impl aws_credential_types::provider::ProvideCredentials + 'static,
    ) -> Self {
        self.credentials = Some(SharedCredentialsProvider::new(provider));
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
    pub(crate) fn credentials(&self) -> Option<&SharedCredentialsProvider> {
        self.credentials.as_ref()
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
        self.region(region).map(|clients| &clients.ec2)
    }

    /// The EC2 client of each allowed region.
    pub fn ec2_of_each_region(&self) -> impl Iterator<Item = (&Region, &aws_sdk_ec2::Client)> {
        self.regions.iter().map(|(region, clients)| (region, &clients.ec2))
    }

    /// The CloudWatch client of a region.
    ///
    /// # Errors
    /// [`Code::RegionNotAllowed`] for a region outside `CML_ALLOWED_REGIONS`.
    pub fn cloudwatch(&self, region: &Region) -> Result<&aws_sdk_cloudwatch::Client, Error> {
        self.region(region).map(|clients| &clients.cloudwatch)
    }

    /// The Systems Manager client of a region.
    ///
    /// # Errors
    /// [`Code::RegionNotAllowed`] for a region outside `CML_ALLOWED_REGIONS`; another error if the deployment has no
    /// `CML_IMAGE_PARAMETER_ARNS` and so no such client.
    pub fn ssm(&self, region: &Region) -> Result<&aws_sdk_ssm::Client, Error> {
        let ssm = self.region(region)?.ssm.as_ref();
        let detail = "This deployment may not read parameters of Systems Manager: set CML_IMAGE_PARAMETER_ARNS";
        ssm.ok_or_else(|| Error::new(Code::AwsError, detail))
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

impl RegionClients {
    fn new(sdk: &SdkConfig, region: &Region, with_ssm: bool, retries: Option<&RetryPartition>) -> Self {
        let (region, retries) = (|| aws_config::Region::new(region.to_string()), || retries.cloned());
        let mut ec2 = aws_sdk_ec2::config::Builder::from(sdk)
            .region(region())
            .retry_classifier(RetryBroken)
            .interceptor(CountCalls);
        ec2.set_retry_partition(retries());
        let mut cloudwatch = aws_sdk_cloudwatch::config::Builder::from(sdk)
            .region(region())
            .retry_classifier(RetryBroken)
            .interceptor(CountCalls);
        cloudwatch.set_retry_partition(retries());
        let ssm = || {
            let mut ssm = aws_sdk_ssm::config::Builder::from(sdk)
                .region(region())
                .retry_classifier(RetryBroken)
                .interceptor(CountCalls);
            ssm.set_retry_partition(retries());
            aws_sdk_ssm::Client::from_conf(ssm.build())
        };
        Self {
            ec2: aws_sdk_ec2::Client::from_conf(
                ec2.retry_classifier(NoRetryWithoutCapacity).interceptor(WholeAnswer).build(),
            ),
            cloudwatch: aws_sdk_cloudwatch::Client::from_conf(cloudwatch.build()),
            ssm: with_ssm.then(ssm),
        }
    }
}

/// The settings of every client: how often it tries a call, and how long each try may take.
#[must_use]
pub fn settings() -> ConfigLoader {
    aws_config::defaults(BehaviorVersion::v2026_01_12())
        .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
        .timeout_config(timeouts())
}

async fn sdk_config(config: &Config) -> Result<SdkConfig, BoxError> {
    let loader = settings()
        .region(aws_config::Region::new(config.region.to_string()))
        .http_client(http_client(trusted_authorities(config)?)?);
    // Lambda passes the role's keys in the environment, and looking nowhere else saves 1 ms of each cold start. Outside of
    // Lambda a developer's profile or an instance profile works through the default chain.
    let loader = match std::env::var_os("AWS_ACCESS_KEY_ID") {
        Some(_) => loader.credentials_provider(EnvironmentVariableCredentialsProvider::new()),
        None => loader,
    };
    Ok(loader.load().await)
}

fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(READ_TIMEOUT)
        .operation_attempt_timeout(ATTEMPT_TIMEOUT)
        .operation_timeout(OPERATION_TIMEOUT)
        .build()
}

fn http_client(authorities: TrustStore) -> Result<SharedHttpClient, BoxError> {
    let tls = TlsContext::builder().with_trust_store(authorities).build()?;
    Ok(aws_smithy_http_client::Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
        .tls_context(tls)
        .build_https())
}

fn trusted_authorities(config: &Config) -> Result<TrustStore, BoxError> {
    let configured =
        CA_FILES.iter().find_map(|name| Some((name, std::env::var_os(name).filter(|file| !file.is_empty())?)));
    match configured {
        Some((name, file)) => {
            let unreadable = |error| format!("{name} names the file {}, which cannot be read: {error}", file.display());
            let pem = std::fs::read(&file).map_err(unreadable)?;
            Ok(TrustStore::empty().with_pem_certificate(pem))
        }
        None if config.allowed_regions.iter().all(Region::is_standard_partition) => {
            Ok(TrustStore::empty().with_pem_certificate(AMAZON_ROOTS))
        }
        None => Ok(TrustStore::default()),
    }
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
