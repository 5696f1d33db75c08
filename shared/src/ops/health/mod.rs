//! Checks that this deployment can reach EC2 with its role's permissions.

pub mod self_test;

use std::time::Duration;

use futures_util::future::{join_all, try_join_all};
use serde::Serialize;
use tokio::time::{Instant, timeout_at};

use crate::aws::clients::Clients;
use crate::aws::deadline;
use crate::error::{Code, Error};
use crate::input::{Invalid, Nothing, Refusal, boolean};
use crate::model::document::Document;
use crate::model::operation::{Call, Callers, Operation, Route};
use crate::model::request::Request;
use crate::ops::health::self_test::verdicts::{Permission, Verdict};
use crate::ops::health::self_test::{self_test, unanswered};

/// The row of this operation in the table of all operations.
pub const OPERATION: Operation = Operation {
    name: "health",
    routes: &[Route {
        method: "GET",
        path: "/health",
        summary: "Check that EC2 can be reached and, with `permissions=true`, check every permission.",
        takes: "`permissions`",
        answers: "`status` `regions` `checks` `permissions`; 503 if all checks fail",
    }],
    callers: Callers::Reader,
    actions: &["ec2:DescribeRegions"],
    purpose: "proves that endpoint, credentials and permission work",
    calls: &[Call::read("ec2:DescribeRegions")],
};

/// The longest time that a check may take; a region that needs longer is not healthy.
const LONGEST_CHECK: Duration = Duration::from_secs(10);

/// The health of the deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum HealthStatus {
    /// Every check passed.
    Ok,
    /// Some checks passed, or the role lacks a permission that an operation needs.
    Degraded,
    /// No check passed.
    Failed,
}

/// What the health check found.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Health {
    /// The health of the deployment.
    pub status: HealthStatus,
    /// The version of this software.
    pub version: &'static str,
    /// The regions that EC2 lists for the account.
    pub regions: Vec<String>,
    /// One check per allowed region.
    pub checks: Vec<Check>,
    /// With `permissions=true`: the role's permissions in each allowed region.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub permissions: Option<Vec<Permission>>,
}

impl Document for Health {
    fn status(&self) -> u16 {
        match self.status {
            HealthStatus::Ok | HealthStatus::Degraded => 200,
            HealthStatus::Failed => 503,
        }
    }
}

/// The query: `?permissions=true`.
#[derive(Debug, Clone, Copy, Default, deserr::Deserr)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[deserr(error = Invalid, deny_unknown_fields)]
pub struct HealthQuery {
    /// Also try every permission that the operations need.
    #[deserr(default, try_from(String) = boolean -> Refusal)]
    pub permissions: bool,
}

/// One call that was tried.
#[derive(Debug, Clone, Serialize)]
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
}

/// Calls EC2 in all allowed regions at the same time. If the query asks for it, tries the role's permissions there too.
///
/// AWS: ec2:DescribeRegions; the self-test tries every action, those that change something as dry runs.
///
/// # Errors
/// None: the answer tells which checks failed.
pub async fn health(clients: &Clients, query: HealthQuery) -> Result<Health, Error> {
    // A region that does not answer is reported, and the answers of the others are kept.
    let end = deadline::at_most(LONGEST_CHECK);
    let checks = clients.ec2_of_each_region().map(|(region, ec2)| check(region.to_string(), ec2, end));
    let permissions = async { if query.permissions { permissions(clients, end).await.map(Some) } else { Ok(None) } };
    let (answers, permissions) = tokio::join!(join_all(checks), permissions);
    let permissions = permissions?;
    let (checks, regions): (Vec<Check>, Vec<Vec<String>>) = answers.into_iter().unzip();
    Ok(Health {
        status: HealthStatus::of(&checks, permissions.as_deref().unwrap_or_default()),
        version: env!("CARGO_PKG_VERSION"),
        regions: regions.into_iter().max_by_key(Vec::len).unwrap_or_default(),
        checks,
        permissions,
    })
}

/// Tries the permissions in all regions at the same time. If a region does not answer in time, its permissions are unknown,
/// and the other regions do not wait for it.
async fn permissions(clients: &Clients, end: Instant) -> Result<Vec<Permission>, Error> {
    let tests = clients.config().allowed_regions.iter().map(|region| async move {
        timeout_at(end, self_test(clients, region)).await.unwrap_or_else(|_| Ok(unanswered(region)))
    });
    Ok(try_join_all(tests).await?.concat())
}

async fn check(region: String, ec2: &aws_sdk_ec2::Client, end: Instant) -> (Check, Vec<String>) {
    let start = Instant::now();
    let late = |_| Error::new(Code::AwsTimeout, "AWS gave no answer to ec2:DescribeRegions in time");
    let answer = timeout_at(end, ec2.describe_regions().send()).await.map_err(late);
    let answer = answer.and_then(|answer| answer.map_err(Error::from));
    let latency_ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
    let name = "ec2:DescribeRegions";
    match answer {
        Ok(answer) => {
            let mut regions: Vec<String> =
                answer.regions().iter().filter_map(|region| region.region_name().map(str::to_owned)).collect();
            regions.sort();
            (Check { name, region, ok: true, latency_ms, error: None }, regions)
        }
        Err(error) => (Check { name, region, ok: false, latency_ms, error: Some(error.summary()) }, Vec::new()),
    }
}

impl HealthStatus {
    fn of(checks: &[Check], permissions: &[Permission]) -> Self {
        // The base policy denies on purpose what only an option of a launch needs.
        let is_broken = |permission: &Permission| !permission.broken_operations.is_empty();
        let denied = permissions.iter().filter(|one| one.verdict == Verdict::Denied).any(is_broken);
        match checks.iter().filter(|check| check.ok).count() {
            passed if passed == checks.len() && !denied => Self::Ok,
            0 => Self::Failed,
            _ => Self::Degraded,
        }
    }
}

/// Handles one request of the function.
///
/// # Errors
/// The errors of the operation.
pub async fn handle(clients: &Clients, request: Request<Nothing, HealthQuery>) -> Result<Health, Error> {
    health(clients, request.query).await
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::Client;
    use aws_smithy_mocks::mock;

    use super::*;
    use crate::testing::{self, ec2_error, xml};

    #[tokio::test]
    async fn a_reachable_ec2_lists_its_regions() {
        let read = mock!(Client::describe_regions).then_http_response(|| {
            xml(200, "<DescribeRegionsResponse><regionInfo><item><regionName>us-west-2</regionName></item><item><regionName>us-east-1</regionName></item></regionInfo></DescribeRegionsResponse>")
        });
        let health = health(&testing::clients(&[&read]), HealthQuery::default()).await.unwrap();
        assert_eq!(
            (health.status, health.regions),
            (HealthStatus::Ok, vec!["us-east-1".to_owned(), "us-west-2".to_owned()])
        );
        assert_eq!(
            (health.checks.len(), health.checks[0].region.as_str(), health.checks[0].ok),
            (1, "us-east-1", true)
        );
    }

    #[tokio::test]
    async fn a_denied_call_names_the_permission() {
        let read = mock!(Client::describe_regions)
            .then_http_response(|| ec2_error(403, "UnauthorizedOperation", "You are not authorized."));
        let health = health(&testing::clients(&[&read]), HealthQuery::default()).await.unwrap();
        assert_eq!(health.status, HealthStatus::Failed);
        assert!(health.checks[0].error.as_deref().unwrap().contains("ec2:DescribeRegions"), "{health:?}");
    }

    #[test]
    fn some_of_the_checks_is_degraded() {
        let check = |ok| Check { name: "ec2:DescribeRegions", region: String::new(), ok, latency_ms: 0, error: None };
        assert_eq!(HealthStatus::of(&[check(true), check(false)], &[]), HealthStatus::Degraded);
    }
}
