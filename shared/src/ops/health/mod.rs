//! Checks that this deployment can reach EC2 and CloudWatch with its role's permissions.

pub mod checks;
pub mod credentials;
pub mod nothing;
mod notices;
pub mod self_test;

use std::time::Duration;

use futures_util::future::try_join_all;
use serde::Serialize;
use tokio::time::{Instant, timeout_at};

use crate::aws::clients::Clients;
use crate::aws::deadline;
use crate::error::Error;
use crate::input::{Invalid, Nothing, Refusal, boolean};
use crate::model::document::{Document, Notice};
use crate::model::measurement::Measurement;
use crate::model::operation::{Call, Callers, Operation, Route};
use crate::model::request::Request;
use crate::ops::health::checks::{Check, check_all};
use crate::ops::health::credentials::Credentials;
use crate::ops::health::notices::notices;
use crate::ops::health::self_test::verdicts::{Permission, Verdict};
use crate::ops::health::self_test::{self_test, unanswered};

/// The row of this operation in the table of all operations.
pub const OPERATION: Operation = Operation {
    name: "health",
    routes: &[Route {
        method: "GET",
        path: "/health",
        summary: "Check that EC2 and CloudWatch can be reached.",
        takes: "`permissions`",
        answers: "`status` `regions` `checks` `credentials` `warnings` `permissions`; 503 if all checks fail",
    }],
    callers: Callers::Reader,
    actions: &["ec2:DescribeRegions", "cloudwatch:GetMetricStatistics"],
    purpose: "proves of EC2 and of CloudWatch that endpoint, credentials and permission work; reads no metric",
    calls: &[Call::read("ec2:DescribeRegions"), Call::read("cloudwatch:GetMetricStatistics")],
};

/// The longest time that a check may take; what needs longer is not healthy.
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
    /// A check of EC2 and a check of CloudWatch per allowed region.
    pub checks: Vec<Check>,
    /// The credentials with which the function signs its calls of AWS, without the credentials themselves.
    pub credentials: Credentials,
    /// What works and should be changed all the same.
    pub warnings: Vec<&'static str>,
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

    fn notices(&self) -> Vec<Notice> {
        notices(&self.checks, &self.warnings)
    }

    fn measurements(&self) -> Vec<Measurement> {
        let missing = self.checks.iter().filter_map(|check| check.missing_permission.as_deref());
        self.checks.iter().flat_map(Check::measurements).chain(Measurement::missing(missing)).collect()
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

/// Calls EC2 and CloudWatch in all allowed regions at the same time, and asks which credentials the function has. If the query
/// asks for it, tries the role's permissions there too.
///
/// AWS: ec2:DescribeRegions, cloudwatch:GetMetricStatistics; the self-test tries every action, those that change something as
/// dry runs.
///
/// # Errors
/// None: the answer tells which checks failed.
pub async fn health(clients: &Clients, query: HealthQuery) -> Result<Health, Error> {
    // What does not answer is reported, and the answers of the others are kept.
    let end = deadline::at_most(LONGEST_CHECK);
    let permissions = async { if query.permissions { permissions(clients, end).await.map(Some) } else { Ok(None) } };
    let credentials = async { Ok(Credentials::of(clients, end).await) };
    let ((checks, regions), credentials, permissions) =
        tokio::try_join!(check_all(clients, end), credentials, permissions)?;
    Ok(Health {
        status: HealthStatus::of(&checks, permissions.as_deref().unwrap_or_default()),
        version: env!("CARGO_PKG_VERSION"),
        regions,
        checks,
        warnings: credentials.warning().into_iter().collect(),
        credentials,
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
mod tests;
