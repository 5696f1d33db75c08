use aws_sdk_cloudwatch::operation::get_metric_statistics::GetMetricStatisticsOutput;
use aws_sdk_ec2::Client;
use aws_smithy_mocks::{Rule, mock};

use super::*;
use crate::config::Config;
use crate::config::deployment::{CML_KMS_KEY_ARNS, CML_POLICY_MODE, CML_WORKER_ROLE_ARN};
use crate::config::{AWS_REGION, CML_IMAGE_PARAMETER_ARNS};
use crate::error::DeniedBy;
use crate::testing::{self, described, ec2_error, region, xml};

const IMAGES: &str = "<DescribeImagesResponse><imagesSet><item><imageId>ami-0123456789abcdef0</imageId><rootDeviceName>/dev/sda1</rootDeviceName></item></imagesSet></DescribeImagesResponse>";

fn dry_run() -> HttpResponse {
    ec2_error(412, "DryRunOperation", "Request would have succeeded, but DryRun flag is set.")
}

/// An AWS that allows everything to dry runs. A mutation without DryRun matches no rule and fails the test.
fn everything() -> Vec<Rule> {
    vec![
        mock!(Client::describe_regions).then_http_response(|| xml(200, "<DescribeRegionsResponse/>")),
        mock!(Client::describe_instance_status).then_http_response(|| xml(200, "<DescribeInstanceStatusResponse/>")),
        mock!(Client::describe_tags).then_http_response(|| xml(200, "<DescribeTagsResponse/>")),
        mock!(aws_sdk_cloudwatch::Client::get_metric_statistics)
            .then_output(|| GetMetricStatisticsOutput::builder().build()),
        mock!(Client::run_instances).match_requests(|r| r.dry_run() == Some(true)).then_http_response(dry_run),
        mock!(Client::start_instances).match_requests(|r| r.dry_run() == Some(true)).then_http_response(dry_run),
        mock!(Client::stop_instances).match_requests(|r| r.dry_run() == Some(true)).then_http_response(dry_run),
        mock!(Client::terminate_instances).match_requests(|r| r.dry_run() == Some(true)).then_http_response(dry_run),
        mock!(Client::create_tags).match_requests(|r| r.dry_run() == Some(true)).then_http_response(dry_run),
        mock!(Client::delete_tags).match_requests(|r| r.dry_run() == Some(true)).then_http_response(dry_run),
        mock!(Client::describe_images).then_http_response(|| xml(200, IMAGES)),
        mock!(Client::describe_instances).then_http_response(|| described("running", true)),
    ]
}

/// Runs the self-test with the rules of `first` before all others.
async fn test(first: Vec<Rule>) -> Vec<Permission> {
    let rules: Vec<Rule> = first.into_iter().chain(everything()).collect();
    self_test(&testing::clients(&rules.iter().collect::<Vec<_>>()), &region()).await.unwrap()
}

fn with(permissions: &[Permission], verdict: Verdict) -> Vec<&str> {
    permissions.iter().filter(|p| p.verdict == verdict).map(|p| p.action.as_str()).collect()
}

#[tokio::test]
async fn a_role_that_may_everything_is_allowed_every_action_of_every_operation() {
    let permissions = test(Vec::new()).await;
    let mut needed: Vec<&str> = OPERATIONS.iter().flat_map(|operation| operation.actions).copied().collect();
    needed.sort_unstable();
    needed.dedup();
    assert_eq!(
        with(&permissions, Verdict::Allowed),
        needed,
        "what shared/src/ops/health/self_test/mod.rs asks about, and what the operations need"
    );
    // No dry run says whether the account's first Spot launch was made.
    assert_eq!(with(&permissions, Verdict::Unknown), [SPOT_ROLE]);
    assert_eq!(permissions.len(), needed.len() + 1);
}

/// Runs the self-test of a deployment with every option, with the rules of `first` before all others.
async fn test_of_options(first: Vec<Rule>) -> Vec<Permission> {
    let variable = |name: &str| match name {
        AWS_REGION => Some("us-east-1"),
        CML_POLICY_MODE => Some("hardened"),
        CML_WORKER_ROLE_ARN => Some("arn:aws:iam::123456789012:role/CMLWorker"),
        CML_KMS_KEY_ARNS => Some("arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555"),
        CML_IMAGE_PARAMETER_ARNS => Some("arn:aws:ssm:us-east-1:123456789012:parameter/cml/*"),
        _ => None,
    };
    let configured = Config::read(|name| variable(name).map(str::to_owned)).unwrap();
    let parameter = mock!(aws_sdk_ssm::Client::get_parameter)
        .match_requests(|request| request.name() == Some("/cml/x"))
        .then_http_response(|| answer_of_ssm(400, r#"{"__type":"ParameterNotFound"}"#));
    let rules: Vec<Rule> = first.into_iter().chain(everything()).chain([parameter]).collect();
    let clients = testing::clients_with(&rules.iter().collect::<Vec<_>>(), |config| *config = configured);
    self_test(&clients, &region()).await.unwrap()
}

fn answer_of_ssm(status: u16, body: &'static str) -> HttpResponse {
    testing::journal(Some("GetParameter"), status, body.as_bytes());
    HttpResponse::new(status.try_into().unwrap(), body.into())
}

#[tokio::test]
async fn permissions_of_options_are_probed_where_a_dry_run_can() {
    let permissions = test_of_options(Vec::new()).await;
    let allowed = with(&permissions, Verdict::Allowed);
    assert!(allowed.contains(&PASS_ROLE) && allowed.contains(&"ssm:GetParameter"), "{allowed:?}");
    let mut unknown = [&[SPOT_ROLE][..], &KMS_ACTIONS].concat();
    unknown.sort_unstable();
    assert_eq!(with(&permissions, Verdict::Unknown), unknown);
}

#[tokio::test]
async fn a_denied_option_is_named_and_breaks_no_operation() {
    let on = "User: arn:aws:sts::123456789012:assumed-role/a/b is not authorized to perform: iam:PassRole on resource: \
              arn:aws:iam::123456789012:role/CMLWorker because no identity-based policy allows the iam:PassRole action";
    let pass_role = mock!(Client::run_instances)
        .match_requests(|request| {
            request.iam_instance_profile().and_then(|profile| profile.name()) == Some("CMLWorker")
        })
        .then_http_response(move || ec2_error(403, "UnauthorizedOperation", on));
    let spot = mock!(Client::run_instances)
        .match_requests(|request| request.instance_market_options().is_some())
        .then_http_response(|| ec2_error(403, "AuthFailure.ServiceLinkedRoleCreationNotPermitted", "The provided credentials do not have permission to create the service-linked role for EC2 Spot Instances."));
    let parameter = mock!(aws_sdk_ssm::Client::get_parameter)
        .then_http_response(|| answer_of_ssm(400, r#"{"__type":"AccessDeniedException","message":"denied"}"#));
    let permissions = test_of_options(vec![pass_role, spot, parameter]).await;
    assert_eq!(with(&permissions, Verdict::Denied), [SPOT_ROLE, PASS_ROLE, "ssm:GetParameter"]);
    for denied in permissions.iter().filter(|one| one.verdict == Verdict::Denied) {
        assert!(denied.broken_operations.is_empty(), "{denied:?}");
        assert_eq!(denied.policy_statements.len(), 1, "{denied:?}");
        assert_eq!(denied.policy_statements[0]["Action"], denied.action, "{denied:?}");
    }
}

#[tokio::test]
async fn a_denied_action_is_named_with_what_breaks_and_what_to_add() {
    let denied = "You are not authorized to perform this operation. User: arn:aws:sts::1:assumed-role/a/b is not authorized to perform: \
                  ec2:StopInstances on resource: arn:aws:ec2:us-east-1:1:instance/i-1 because no identity-based policy allows the ec2:StopInstances action";
    let rule =
        mock!(Client::stop_instances).then_http_response(move || ec2_error(403, "UnauthorizedOperation", denied));
    let permissions = test_of_options(vec![rule]).await;
    assert_eq!(with(&permissions, Verdict::Denied), ["ec2:StopInstances"]);
    let stop = permissions.iter().find(|p| p.action == "ec2:StopInstances").unwrap();
    assert_eq!((&stop.broken_operations[..], stop.denied_by), (&["stop-instance"][..], Some(DeniedBy::NoAllow)));
    assert_eq!(
        stop.policy_statements[0]["Condition"]["StringEquals"]["ec2:ResourceTag/ManagedBy"],
        "cml-cloud-manager"
    );
}

#[tokio::test]
async fn a_denied_tagging_at_launch_leaves_the_launch_permission_unknown() {
    let denied = "User: x is not authorized to perform: ec2:CreateTags on resource: arn:aws:ec2:us-east-1:1:instance/*";
    let rule = mock!(Client::run_instances).then_http_response(move || ec2_error(403, "UnauthorizedOperation", denied));
    let permissions = test(vec![rule]).await;
    assert_eq!(with(&permissions, Verdict::Denied), ["ec2:CreateTags"]);
    assert_eq!(with(&permissions, Verdict::Unknown), ["ec2:RunInstances", SPOT_ROLE]);
}

#[tokio::test]
async fn permissions_that_need_an_instance_or_image_are_unknown_without_one() {
    let none = mock!(Client::describe_instances).then_http_response(|| xml(200, "<DescribeInstancesResponse/>"));
    let images = mock!(Client::describe_images).then_http_response(|| xml(200, "<DescribeImagesResponse/>"));
    let permissions = test(vec![none, images]).await;
    let unknown = [&ON_INSTANCES[..2], &["ec2:RunInstances"], &ON_INSTANCES[2..], &[SPOT_ROLE]].concat();
    assert_eq!(with(&permissions, Verdict::Unknown), unknown);
    assert!(with(&permissions, Verdict::Denied).is_empty());
}

#[tokio::test]
async fn a_throttled_try_says_nothing_of_the_permission() {
    let rule = mock!(Client::describe_tags).then_http_response(|| ec2_error(503, "RequestLimitExceeded", "slow down"));
    assert_eq!(with(&test(vec![rule]).await, Verdict::Unknown), ["ec2:DescribeTags", SPOT_ROLE]);
}

#[tokio::test]
async fn a_launch_that_only_spot_is_refused_is_allowed_all_the_same() {
    let on = "User: arn:aws:sts::123456789012:assumed-role/a/b is not authorized to perform: ec2:RunInstances on resource: \
              arn:aws:ec2:us-east-1:123456789012:instance/* with an explicit deny in a service control policy";
    let spot = mock!(Client::run_instances)
        .match_requests(|request| request.instance_market_options().is_some())
        .then_http_response(move || ec2_error(403, "UnauthorizedOperation", on));
    let permissions = test_of_options(vec![spot]).await;
    assert!(with(&permissions, Verdict::Denied).is_empty());
    assert!(with(&permissions, Verdict::Allowed).contains(&"ec2:RunInstances"));
    let spot = permissions.iter().find(|permission| permission.action == SPOT_ROLE).unwrap();
    assert_eq!(spot.verdict, Verdict::Unknown);
    assert!(spot.reason.as_deref().unwrap().contains("service control policy"), "{spot:?}");
}

#[tokio::test]
async fn in_base_mode_the_self_test_skips_the_pass_role_permission() {
    let asked = mock!(Client::run_instances)
        .match_requests(|request| request.iam_instance_profile().is_some())
        .then_http_response(dry_run);
    let base = |name: &str| match name {
        AWS_REGION => Some("us-east-1".to_owned()),
        CML_POLICY_MODE => Some("base".to_owned()),
        CML_WORKER_ROLE_ARN => Some("arn:aws:iam::123456789012:role/CMLWorker".to_owned()),
        _ => None,
    };
    let rules: Vec<Rule> = [asked.clone()].into_iter().chain(everything()).collect();
    let clients =
        testing::clients_with(&rules.iter().collect::<Vec<_>>(), |config| *config = Config::read(base).unwrap());
    let permissions = self_test(&clients, &region()).await.unwrap();
    assert!(!permissions.iter().any(|permission| permission.action == PASS_ROLE));
    assert_eq!(asked.num_calls(), 0);
}
