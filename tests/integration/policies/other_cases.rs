//! Reads, roles, keys, and actions that no function needs.

use tests::iam::{Check, Request};

use super::files::{IMAGE_PARAMETER, KEY, SECOND_IMAGE_PARAMETER};
use super::recorded::{Calls, ROLE};
use super::{A, D, Row};

/// The rows: what is called, and whether with base, guardrail, hardened.
pub fn rows(calls: &Calls) -> Vec<Row> {
    [reads(calls), unneeded(calls), passing(), parameters(), keys()].concat()
}

fn reads(calls: &Calls) -> Vec<Row> {
    let abroad = |action: &str| calls.checks(&calls.request(action).in_region("eu-west-1"));
    let west = |action: &str| calls.checks(&calls.request(action).in_region("us-west-2"));
    vec![
        ("list instances in the other allowed region", west("DescribeInstances"), [A, A, A]),
        ("read metrics in the other allowed region", west("GetMetricStatistics"), [A, A, A]),
        ("list instances in a region that is not allowed", abroad("DescribeInstances"), [A, D, D]),
        ("read statuses in a region that is not allowed", abroad("DescribeInstanceStatus"), [A, D, D]),
        ("list images in a region that is not allowed", abroad("DescribeImages"), [A, D, D]),
        ("list regions from a region that is not allowed", abroad("DescribeRegions"), [A, D, D]),
        ("read tags in a region that is not allowed", abroad("DescribeTags"), [A, D, D]),
        ("read metrics in a region that is not allowed", abroad("GetMetricStatistics"), [A, D, D]),
    ]
}

fn unneeded(calls: &Calls) -> Vec<Row> {
    let stop = calls.request("StopInstances");
    let tag = calls.request("CreateTags");
    let launch = calls.request("RunInstances");
    let read = calls.request("DescribeInstances");
    let metrics = calls.request("GetMetricStatistics");
    let instead = |request: &Request, action| calls.checks(&request.clone().as_action(action));
    // Another action with the context that one check of a launch has.
    let of_launch = |asked: &str, kind: &str, action: &str| {
        let checks = calls.checks(&launch).into_iter();
        let meant = checks.filter(|check| check.action == asked && check.resource.contains(kind));
        meant.map(|check| Check { action: action.to_owned(), ..check }).collect::<Vec<_>>()
    };
    let each = |kind: &str, action: &str| of_launch("ec2:RunInstances", kind, action);
    let tag_launched = |action: &str| of_launch("ec2:CreateTags", "", action);
    // CreateImage knows the keys of a tag request too.
    let tagging = calls.checks(&tag).into_iter();
    let image_with_tags = tagging.map(|check| Check { action: "ec2:CreateImage".to_owned(), ..check });
    vec![
        ("reboot a worker", instead(&stop, "RebootInstances"), [D, D, D]),
        ("read a worker's user data", instead(&stop, "DescribeInstanceAttribute"), [D, D, D]),
        ("change a worker's attributes", instead(&stop, "ModifyInstanceAttribute"), [D, D, D]),
        ("make an image of a worker with tags", image_with_tags.collect(), [D, D, D]),
        ("list volumes", instead(&read, "DescribeVolumes"), [D, D, D]),
        ("list alarms", instead(&metrics, "DescribeAlarms"), [D, D, D]),
        ("write metrics", instead(&metrics, "PutMetricData"), [D, D, D]),
        ("use a launch's instance for another action", each(":instance/", "ec2:ModifyInstanceAttribute"), [D, D, D]),
        ("use a launch's image for another action", each(":image/", "ec2:ModifyImageAttribute"), [D, D, D]),
        ("use a launch's subnet for another action", each(":subnet/", "ec2:DeleteSubnet"), [D, D, D]),
        ("use a launch's group for another action", each(":security-group/", "ec2:DeleteSecurityGroup"), [D, D, D]),
        ("delete the tags that a launch may make", tag_launched("ec2:DeleteTags"), [A, D, D]),
        ("make a snapshot with a launch's tags", tag_launched("ec2:CreateSnapshot"), [D, D, D]),
    ]
}

/// Checks that no request of EC2 makes, as the role's credentials could ask for in another service.
fn check(action: &str, resource: &str) -> Check {
    Check::new(action, resource).with("aws:RequestedRegion", "us-east-1").by(ROLE)
}

fn passing() -> Vec<Row> {
    let worker = "arn:aws:iam::123456789012:role/CMLWorker";
    let linked = |role: &str| format!("arn:aws:iam::123456789012:role/aws-service-role/{role}");
    let pass = |service: &str| vec![check("iam:PassRole", worker).with("iam:PassedToService", service)];
    let create = |role: &str, service: &str| {
        vec![check("iam:CreateServiceLinkedRole", &linked(role)).with("iam:AWSServiceName", service)]
    };
    let spot = "spot.amazonaws.com/AWSServiceRoleForEC2Spot";
    vec![
        ("pass the workers' role to EC2", pass("ec2.amazonaws.com"), [D, D, A]),
        ("pass the workers' role to Lambda", pass("lambda.amazonaws.com"), [D, D, D]),
        ("pass the workers' role without a service", vec![check("iam:PassRole", worker)], [D, D, D]),
        ("change the workers' role", vec![check("iam:PutRolePolicy", worker)], [D, D, D]),
        ("make the service-linked role of Spot", create(spot, "spot.amazonaws.com"), [D, D, A]),
        ("make it for another service", create(spot, "autoscaling.amazonaws.com"), [D, D, D]),
        ("make it without a service", vec![check("iam:CreateServiceLinkedRole", &linked(spot))], [D, D, D]),
        ("make another one", create("eks.amazonaws.com/AWSServiceRoleForAmazonEKS", "spot.amazonaws.com"), [D, D, D]),
    ]
}

fn parameters() -> Vec<Row> {
    let on = |action: &str, resource: &str| vec![check(action, resource)];
    let other = IMAGE_PARAMETER.replace("worker-image", "password");
    vec![
        ("read a parameter that names images", on("ssm:GetParameter", IMAGE_PARAMETER), [D, D, A]),
        ("read the one of the other region", on("ssm:GetParameter", SECOND_IMAGE_PARAMETER), [D, D, A]),
        ("read another parameter", on("ssm:GetParameter", &other), [D, D, D]),
        ("write a parameter that names images", on("ssm:PutParameter", IMAGE_PARAMETER), [D, D, D]),
    ]
}

fn keys() -> Vec<Row> {
    let through = |action: &str, service: &str| vec![check(action, KEY).with("kms:ViaService", service)];
    let grant = |for_aws: bool, service: &str| {
        let check = check("kms:CreateGrant", KEY).with("kms:GrantIsForAWSResource", for_aws);
        vec![check.with("kms:ViaService", service)]
    };
    let of_another_key = |checks: Vec<Check>| {
        let resource = KEY.replace("11111111", "99999999");
        checks.into_iter().map(|check| Check { resource: resource.clone(), ..check }).collect::<Vec<_>>()
    };
    let instead = |checks: Vec<Check>, action: &str| {
        checks.into_iter().map(|check| Check { action: action.to_owned(), ..check }).collect::<Vec<_>>()
    };
    let direct_grant = vec![check("kms:CreateGrant", KEY).with("kms:GrantIsForAWSResource", true)];
    let ec2 = "ec2.us-east-1.amazonaws.com";
    vec![
        ("decrypt through EC2", through("kms:Decrypt", ec2), [D, D, A]),
        ("decrypt through S3", through("kms:Decrypt", "s3.us-east-1.amazonaws.com"), [D, D, D]),
        ("decrypt directly", vec![check("kms:Decrypt", KEY)], [D, D, D]),
        ("decrypt another key through EC2", of_another_key(through("kms:Decrypt", ec2)), [D, D, D]),
        ("grant another key to EC2's resource", of_another_key(grant(true, ec2)), [D, D, D]),
        ("grant the key to EC2's resource", grant(true, ec2), [D, D, A]),
        ("grant the key to anybody through EC2", grant(false, ec2), [D, D, D]),
        ("grant the key through EC2 without saying for whom", through("kms:CreateGrant", ec2), [D, D, D]),
        ("grant the key through RDS", grant(true, "rds.us-east-1.amazonaws.com"), [D, D, D]),
        ("grant the key directly", direct_grant, [D, D, D]),
        ("take the key's grants away through EC2", through("kms:RevokeGrant", ec2), [D, D, D]),
        ("take EC2's grants away through EC2", instead(grant(true, ec2), "kms:RevokeGrant"), [D, D, D]),
    ]
}
