use aws_sdk_cloudwatch::operation::get_metric_statistics::GetMetricStatisticsOutput;
use aws_sdk_ec2::Client;
use aws_sdk_ec2::config::http::HttpResponse;
use aws_smithy_mocks::{Rule, mock};
use aws_smithy_types::body::SdkBody;

use super::*;
use crate::model::measurement::{Dimensions, Metric};
use crate::ops::health::credentials::CredentialsKind;
use crate::ops::health::nothing;
use crate::testing::{self, ec2_error, region, xml};

const EC2: &str = "ec2:DescribeRegions";
const CLOUDWATCH: &str = "cloudwatch:GetMetricStatistics";

fn regions() -> Rule {
    mock!(Client::describe_regions).then_http_response(|| {
        xml(200, "<DescribeRegionsResponse><regionInfo><item><regionName>us-west-2</regionName></item><item><regionName>us-east-1</regionName></item></regionInfo></DescribeRegionsResponse>")
    })
}

/// CloudWatch without data, for the health check's request alone.
fn no_data() -> Rule {
    let is_of_nothing = |request: &aws_sdk_cloudwatch::operation::get_metric_statistics::GetMetricStatisticsInput| {
        request.dimensions().iter().any(|dimension| dimension.name() == Some(nothing::DIMENSION))
    };
    mock!(aws_sdk_cloudwatch::Client::get_metric_statistics)
        .match_requests(is_of_nothing)
        .then_output(|| GetMetricStatisticsOutput::builder().build())
}

fn refused_by_ec2(status: u16, code: &'static str) -> Rule {
    mock!(Client::describe_regions).then_http_response(move || ec2_error(status, code, "AWS's words."))
}

/// CloudWatch's error without a message; its code is in the header.
fn refused_by_cloudwatch(code: &'static str) -> Rule {
    mock!(aws_sdk_cloudwatch::Client::get_metric_statistics).then_http_response(move || {
        // An empty map in CBOR.
        let mut response = HttpResponse::new(403.try_into().unwrap(), SdkBody::from(b"\xa0".to_vec()));
        let headers = response.headers_mut();
        headers.insert("smithy-protocol", "rpc-v2-cbor");
        headers.insert("x-amzn-query-error", format!("{code};Sender"));
        headers.insert("x-amzn-requestid", "aws-request-2");
        response
    })
}

async fn health_of(rules: &[&Rule]) -> Health {
    health(&testing::clients(rules), HealthQuery::default()).await.unwrap()
}

fn check(health: &Health, name: &str) -> Check {
    health.checks.iter().find(|check| check.name == name).unwrap().clone()
}

fn texts(health: &Health) -> Vec<String> {
    let text = |notice| match notice {
        Notice::Info(text) => format!("INFO {text}"),
        Notice::Warning(text) => format!("WARN {text}"),
    };
    health.notices().into_iter().map(text).collect()
}

/// The failures that CloudWatch keeps of the checks, by their own dimensions.
fn failures(health: &Health) -> Vec<(String, f64)> {
    let of_check = |dimensions: &[Dimensions]| dimensions[1][0].1.clone();
    let failures = health.measurements().into_iter().filter(|one| one.metric == Metric::HEALTH_CHECK_FAILURES);
    failures.map(|one| (of_check(&one.dimensions), one.value)).collect()
}

#[tokio::test]
async fn a_reachable_aws_is_ok_and_lists_its_regions() {
    let health = health_of(&[&regions(), &no_data()]).await;
    assert_eq!(
        (health.status, &health.regions[..]),
        (HealthStatus::Ok, &["us-east-1", "us-west-2"].map(str::to_owned)[..])
    );
    let told: Vec<_> = health.checks.iter().map(|check| (check.name, check.region.as_str(), check.ok)).collect();
    assert_eq!(told, [(EC2, "us-east-1", true), (CLOUDWATCH, "us-east-1", true)]);
    assert_eq!(
        texts(&health),
        ["INFO AWS EC2 connection successful in us-east-1", "INFO AWS CloudWatch connection successful in us-east-1"]
    );
    assert_eq!(failures(&health), [(EC2.to_owned(), 0.0), (CLOUDWATCH.to_owned(), 0.0)]);
    assert!(health.warnings.is_empty() && health.checks.iter().all(|check| check.aws_code.is_none()), "{health:?}");
}

#[tokio::test]
async fn each_missing_permission_is_named_and_the_other_service_is_not_blamed() {
    let denied_ec2 = health_of(&[&refused_by_ec2(403, "UnauthorizedOperation"), &no_data()]).await;
    let denied_cloudwatch = health_of(&[&regions(), &refused_by_cloudwatch("AccessDenied")]).await;
    for (health, denied, service, code, other) in [
        (denied_ec2, EC2, "EC2", "UnauthorizedOperation", CLOUDWATCH),
        (denied_cloudwatch, CLOUDWATCH, "CloudWatch", "AccessDenied", EC2),
    ] {
        assert_eq!((health.status, health.status()), (HealthStatus::Degraded, 200));
        let failed = check(&health, denied);
        assert!(failed.error.as_deref().unwrap().contains(denied), "{failed:?}");
        assert_eq!(failed.aws_code.as_deref(), Some(code));
        assert!(failed.aws_request_id.as_deref().unwrap().starts_with("aws-request-"), "{failed:?}");
        assert!(check(&health, other).ok);
        let start = format!(
            "WARN AWS {service} health check failed: Error while verifying access to {service}: An error occurred ({code}) in \
             us-east-1: the permission {denied} is missing: "
        );
        let texts = texts(&health);
        assert_eq!(texts.iter().filter(|text| text.starts_with(&start)).count(), 1, "{texts:?}");
        assert_eq!(texts.last().unwrap(), "WARN AWS operations may fail at runtime");
        assert_eq!(
            failures(&health).into_iter().filter(|(_, failed)| *failed > 0.0).collect::<Vec<_>>(),
            [(denied.to_owned(), 1.0)]
        );
    }
}

#[tokio::test]
async fn wrong_keys_fail_both_checks_with_the_code_of_each_service() {
    for (of_ec2, of_cloudwatch) in
        [("AuthFailure", "InvalidClientTokenId"), ("SignatureDoesNotMatch", "SignatureDoesNotMatch")]
    {
        let health = health_of(&[&refused_by_ec2(401, of_ec2), &refused_by_cloudwatch(of_cloudwatch)]).await;
        assert_eq!((health.status, health.status()), (HealthStatus::Failed, 503));
        assert_eq!(check(&health, EC2).aws_code.as_deref(), Some(of_ec2));
        assert_eq!(check(&health, CLOUDWATCH).aws_code.as_deref(), Some(of_cloudwatch));
        // The specification's own lines; what AWS says of a signature is told to nobody.
        let line = |service: &str, code: &str, action: &str| {
            format!(
                "WARN AWS {service} health check failed: Error while verifying access to {service}: An error occurred ({code}) in \
                 us-east-1: AWS does not accept the function's credentials for {action}"
            )
        };
        let runtime = "WARN AWS operations may fail at runtime".to_owned();
        assert_eq!(texts(&health), [line("EC2", of_ec2, EC2), line("CloudWatch", of_cloudwatch, CLOUDWATCH), runtime]);
        assert_eq!(failures(&health), [(EC2.to_owned(), 1.0), (CLOUDWATCH.to_owned(), 1.0)]);
    }
}

#[tokio::test]
async fn long_lived_keys_work_and_are_warned_of_in_answer_and_log() {
    let keys = aws_credential_types::Credentials::new(
        "AKIAIOSFODNN7EXAMPLE",
        "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        None,
        None,
        "test",
    );
    let clients = testing::clients(&[&regions(), &no_data()]).with_credentials(keys);
    let health = health(&clients, HealthQuery::default()).await.unwrap();
    assert_eq!((health.status, health.credentials.kind), (HealthStatus::Ok, CredentialsKind::LongLivedKeys));
    assert_eq!(health.warnings.len(), 1);
    assert_eq!(texts(&health).last().unwrap(), &format!("WARN {}", health.warnings[0]));
    assert!(!serde_json::to_string(&health).unwrap().contains("EXAMPLE"));
}

#[test]
fn a_check_is_measured_in_all_and_by_itself() {
    let check = Check {
        name: EC2,
        region: region().to_string(),
        ok: false,
        latency_ms: 12,
        error: Some("AWS gave no answer to ec2:DescribeRegions in time".to_owned()),
        aws_code: None,
        missing_permission: None,
        aws_request_id: None,
    };
    let [failures, latency] = check.measurements();
    let own = vec![("Check", EC2.to_owned()), ("Region", "us-east-1".to_owned())];
    assert_eq!(failures, Measurement::count(Metric::HEALTH_CHECK_FAILURES, 1, &[Vec::new(), own.clone()]));
    assert_eq!(latency, Measurement::time(Metric::HEALTH_CHECK_LATENCY, Duration::from_millis(12), &[own]));
    let without_code = "AWS EC2 health check failed: Error while verifying access to EC2: An error occurred in us-east-1: \
                        AWS gave no answer to ec2:DescribeRegions in time";
    assert_eq!(notices(&[check], &[])[0], Notice::Warning(without_code.to_owned()));
}

#[test]
fn only_a_failed_health_check_has_an_error_status() {
    let health = |status| {
        let credentials = Credentials::none("");
        let (regions, checks, warnings) = (Vec::new(), Vec::new(), Vec::new());
        Health { status, version: "0", regions, checks, credentials, warnings, permissions: None }.status()
    };
    assert_eq!([HealthStatus::Ok, HealthStatus::Degraded, HealthStatus::Failed].map(health), [200, 200, 503]);
}
