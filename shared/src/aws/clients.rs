//! AWS clients, built once per execution environment: one pair per allowed region.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, ConfigLoader, SdkConfig};
use aws_sdk_ec2::config::SharedHttpClient;
use aws_sdk_ec2::config::retry::RetryPartition;
use aws_smithy_async::time::SharedTimeSource;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};

use crate::aws::retries::{NoRetryWithoutCapacity, RetryBroken};
use crate::aws::whole_answer::WholeAnswer;
use crate::config::Config;
use crate::error::{Code, Error};
use crate::model::region::Region;
use crate::model::time::rfc3339;

/// The authorities that every endpoint of the standard partition chains to: Amazon Root CA 1-4 and Starfield Services
/// Root G2. Parsing the system's 145 instead costs 6.5 ms of each cold start.
const AMAZON_ROOTS: &[u8] = include_bytes!("amazon_roots.pem");

/// Files of trusted authorities that win over [`AMAZON_ROOTS`], as every AWS SDK and OpenSSL read them.
const CA_FILES: [&str; 2] = ["AWS_CA_BUNDLE", "SSL_CERT_FILE"];

/// One connection attempt; the SDK tries again.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// The first byte of an answer. RunInstances, the slowest, answers within seconds.
const READ_TIMEOUT: Duration = Duration::from_secs(9);
/// One attempt of a call, to the last byte.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);
/// All attempts of a call together, below the budget of the invocation, which ends them too.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(20);
/// Attempts of a call: two more after what may pass by itself, each after a pause that doubles, with jitter. Nothing else
/// in this crate sends a call again that the SDK gave up.
const ATTEMPTS: u32 = 3;

/// The AWS clients of one function and the guards that stand before them.
#[derive(Debug)]
pub struct Clients {
    config: Config,
    regions: BTreeMap<Region, RegionClients>,
    /// The SDK's clock, which signs the requests, is everybody's.
    clock: SharedTimeSource,
}

/// The clients of one region.
#[derive(Debug, Clone)]
pub struct RegionClients {
    /// EC2.
    pub ec2: aws_sdk_ec2::Client,
    /// CloudWatch.
    pub cloudwatch: aws_sdk_cloudwatch::Client,
    /// Systems Manager, if images may be named by its parameters: most deployments need not wait for it at their start.
    pub ssm: Option<aws_sdk_ssm::Client>,
}

impl Clients {
    /// Builds the clients that the environment asks for.
    ///
    /// # Errors
    /// A bad variable, or a configured file of authorities that cannot be read.
    pub async fn from_env() -> Result<Self, lambda_runtime::Error> {
        let config = Config::from_env()?;
        let sdk = sdk_config(&config).await?;
        Ok(Self::new(config, &sdk))
    }

    /// Builds the clients that a configuration allows, each for its region, of what they have in common.
    #[must_use]
    pub fn new(config: Config, sdk: &SdkConfig) -> Self {
        Self::with_retries(config, sdk, None)
    }

    /// The same with a stock of retries of their own: the SDK's is one for the whole process.
    #[must_use]
    pub fn with_retries(config: Config, sdk: &SdkConfig, retries: Option<&RetryPartition>) -> Self {
        let with_ssm = !config.image_parameters.is_empty();
        let regions = config.allowed_regions.iter();
        let regions = regions.map(|region| (region.clone(), RegionClients::new(sdk, region, with_ssm, retries)));
        Self { regions: regions.collect(), config, clock: sdk.time_source().unwrap_or_default() }
    }

    /// Clients that were built elsewhere, for tests.
    #[cfg(test)]
    pub(crate) fn of(config: Config, regions: BTreeMap<Region, RegionClients>) -> Self {
        Self { config, regions, clock: SharedTimeSource::default() }
    }

    /// This moment: the one clock of whatever has clients.
    #[must_use]
    pub fn now(&self) -> SystemTime {
        self.clock.now()
    }

    /// This moment, RFC 3339 in UTC: EC2's own times sort with it as text.
    #[must_use]
    pub(crate) fn now_as_text(&self) -> String {
        rfc3339(&self.now().into()).unwrap_or_default()
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Value of the ownership tag.
    #[must_use]
    pub fn managed_by(&self) -> &str {
        &self.config.managed_by
    }

    /// EC2 in a region.
    ///
    /// # Errors
    /// [`Code::RegionNotAllowed`] outside `CML_ALLOWED_REGIONS`.
    pub fn ec2(&self, region: &Region) -> Result<&aws_sdk_ec2::Client, Error> {
        self.region(region).map(|clients| &clients.ec2)
    }

    /// EC2 in each allowed region.
    pub fn ec2_of_each_region(&self) -> impl Iterator<Item = (&Region, &aws_sdk_ec2::Client)> {
        self.regions.iter().map(|(region, clients)| (region, &clients.ec2))
    }

    /// CloudWatch in a region.
    ///
    /// # Errors
    /// [`Code::RegionNotAllowed`] outside `CML_ALLOWED_REGIONS`.
    pub fn cloudwatch(&self, region: &Region) -> Result<&aws_sdk_cloudwatch::Client, Error> {
        self.region(region).map(|clients| &clients.cloudwatch)
    }

    /// Systems Manager in a region.
    ///
    /// # Errors
    /// [`Code::RegionNotAllowed`] outside `CML_ALLOWED_REGIONS`; a deployment without `CML_IMAGE_PARAMETER_ARNS` has none.
    pub fn ssm(&self, region: &Region) -> Result<&aws_sdk_ssm::Client, Error> {
        let ssm = self.region(region)?.ssm.as_ref();
        ssm.ok_or_else(|| Error::new(Code::AwsError, "This deployment may read no parameter"))
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
        let mut ec2 = aws_sdk_ec2::config::Builder::from(sdk).region(region()).retry_classifier(RetryBroken);
        ec2.set_retry_partition(retries());
        let mut cloudwatch =
            aws_sdk_cloudwatch::config::Builder::from(sdk).region(region()).retry_classifier(RetryBroken);
        cloudwatch.set_retry_partition(retries());
        let ssm = || {
            let mut ssm = aws_sdk_ssm::config::Builder::from(sdk).region(region()).retry_classifier(RetryBroken);
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

/// What every client has, whoever it is made for: its tries, and how long each may take.
#[must_use]
pub fn settings() -> ConfigLoader {
    aws_config::defaults(BehaviorVersion::v2026_01_12())
        .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
        .timeout_config(timeouts())
}

async fn sdk_config(config: &Config) -> Result<SdkConfig, lambda_runtime::Error> {
    let loader = settings()
        .region(aws_config::Region::new(config.region.to_string()))
        .http_client(http_client(trusted_authorities(config)?)?);
    // Lambda hands the role's keys over in the environment; looking no further saves 1 ms of each cold start.
    // Elsewhere a developer's profile or an instance profile works through the default chain.
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

fn http_client(authorities: TrustStore) -> Result<SharedHttpClient, lambda_runtime::Error> {
    let tls = TlsContext::builder().with_trust_store(authorities).build()?;
    Ok(aws_smithy_http_client::Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
        .tls_context(tls)
        .build_https())
}

fn trusted_authorities(config: &Config) -> Result<TrustStore, lambda_runtime::Error> {
    let configured =
        CA_FILES.iter().find_map(|name| Some((name, std::env::var_os(name).filter(|file| !file.is_empty())?)));
    match configured {
        Some((name, file)) => {
            let pem = std::fs::read(&file).map_err(|error| format!("{name} names {}: {error}", file.display()))?;
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
