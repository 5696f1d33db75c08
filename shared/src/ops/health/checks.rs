//! The calls by which the health check finds out whether EC2 and CloudWatch answer.

use std::time::Duration;

use aws_sdk_ec2::config::http::HttpResponse;
use aws_sdk_ec2::error::SdkError;
use futures_util::future::try_join_all;
use serde::Serialize;
use tokio::time::{Instant, timeout_at};

use crate::aws::clients::Clients;
use crate::aws::errors::IamAction;
use crate::error::{Code, Error};
use crate::model::measurement::{Measurement, Metric};
use crate::model::region::Region;
use crate::ops::health::nothing::metric_of_nothing;

/// One call that was tried.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Check {
    /// The IAM action.
    pub name: &'static str,
    /// The region in which it was called.
    pub region: String,
    /// Whether the call succeeded.
    pub ok: bool,
    /// How long the call took, in milliseconds.
    pub latency_ms: u64,
    /// Why the call failed.
    pub error: Option<String>,
    /// AWS's own error code, if AWS answered with one.
    pub aws_code: Option<String>,
    /// The permission that the role lacks, if AWS denied the call.
    pub missing_permission: Option<String>,
    /// AWS's id of the failed request, if AWS answered with one.
    pub aws_request_id: Option<String>,
}

/// Calls EC2 and CloudWatch in all allowed regions at the same time, and gives the regions that EC2 lists. A call that is not
/// answered by the end has failed; no other call waits for it.
///
/// # Errors
/// None of AWS's: they are in the checks.
pub(super) async fn check_all(clients: &Clients, end: Instant) -> Result<(Vec<Check>, Vec<String>), Error> {
    let regions = clients.ec2_of_each_region().map(|(region, ec2)| check_region(clients, region, ec2, end));
    let (checks, regions): (Vec<_>, Vec<_>) = try_join_all(regions).await?.into_iter().unzip();
    // Each region lists all of them; one that failed lists none.
    Ok((checks.concat(), regions.into_iter().max_by_key(Vec::len).unwrap_or_default()))
}

async fn check_region(
    clients: &Clients,
    region: &Region,
    ec2: &aws_sdk_ec2::Client,
    end: Instant,
) -> Result<(Vec<Check>, Vec<String>), Error> {
    let metric = metric_of_nothing(clients.cloudwatch(region)?, clients.now());
    let ((ec2, answer), (cloudwatch, _)) =
        tokio::join!(check(region, ec2.describe_regions().send(), end), check(region, metric.send(), end));
    let listed = answer.and_then(|answer| answer.regions).unwrap_or_default();
    let mut regions: Vec<String> = listed.into_iter().filter_map(|region| region.region_name).collect();
    regions.sort();
    Ok((vec![ec2, cloudwatch], regions))
}

/// Waits for a call and times it; gives its answer too.
async fn check<T, E: IamAction>(
    region: &Region,
    call: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    end: Instant,
) -> (Check, Option<T>)
where
    Error: From<SdkError<E, HttpResponse>>,
{
    let start = Instant::now();
    let late = |_| Error::new(Code::AwsTimeout, format!("AWS gave no answer to {} in time", E::NAME));
    let answer = timeout_at(end, call).await.map_err(late).and_then(|answer| answer.map_err(Error::from));
    (Check::new(E::NAME, region, start.elapsed(), answer.as_ref().err()), answer.ok())
}

impl Check {
    fn new(name: &'static str, region: &Region, took: Duration, error: Option<&Error>) -> Self {
        Self {
            name,
            region: region.to_string(),
            ok: error.is_none(),
            latency_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            error: error.map(Error::summary),
            aws_code: error.and_then(Error::aws_code).map(str::to_owned),
            missing_permission: error.and_then(Error::missing_permission).map(str::to_owned),
            aws_request_id: error.and_then(|error| error.aws.as_ref()?.request_id.clone()),
        }
    }

    /// The service, by the name that people know.
    pub(super) fn service(&self) -> &'static str {
        if self.name.starts_with("cloudwatch:") { "CloudWatch" } else { "EC2" }
    }

    /// What CloudWatch keeps of it: failures of all checks together too, for the alarm about silence.
    pub(super) fn measurements(&self) -> [Measurement; 2] {
        let own = vec![("Check", self.name.to_owned()), ("Region", self.region.clone())];
        let latency = Duration::from_millis(self.latency_ms);
        [
            Measurement::count(Metric::HEALTH_CHECK_FAILURES, usize::from(!self.ok), &[Vec::new(), own.clone()]),
            Measurement::time(Metric::HEALTH_CHECK_LATENCY, latency, &[own]),
        ]
    }
}
