//! Elements of the policies that no case can notice, each with the reason: mostly what AWS itself makes sure of.

const GUARDRAIL: &str = "CMLWorkerManagementPolicy.guardrail";
const HARDENED: &str = "CMLWorkerManagementPolicy.hardened";
const SWEEP: &str = "CMLWorkerSweepPolicy";
const LIMITS: &str = "CMLWorkerLimitsPolicy";
const API: &str = "api-resource-policy";
const WORKER: &str = "worker-role";

/// File, mutant, because.
pub const LIST: [(&str, &str, &str); 24] = [
    (
        LIMITS,
        "DenyOtherTagKeys: action ec2:CreateTags → ec2:*",
        "the one other action of the role that has tag keys is RunInstances, whose tags are a CreateTags of their own",
    ),
    (
        LIMITS,
        "DenyOtherTagKeys: action ec2:DeleteTags → ec2:*",
        "the one other action of the role that has tag keys is RunInstances, whose tags are a CreateTags of their own",
    ),
    (
        GUARDRAIL,
        "DenyLifecycleOfUnmanaged: resource arn:aws:ec2:*:*:instance/* → *",
        "start, stop and terminate are checked on instances alone; written out for the reader",
    ),
    (
        GUARDRAIL,
        "DenyOtherImages: action ec2:RunInstances → ec2:*",
        "the base policy allows no other action on images and snapshots but tagging, which other statements deny",
    ),
    (
        HARDENED,
        "CreateSpotRole: action iam:CreateServiceLinkedRole → iam:*",
        "only CreateServiceLinkedRole has the key iam:AWSServiceName, and the condition asks for it",
    ),
    (
        HARDENED,
        "LaunchFromTrustedImages: StringEquals → StringEqualsIfExists",
        "EC2 names the owner of every image and snapshot",
    ),
    (
        HARDENED,
        "LaunchFromTrustedImages: resource arn:aws:ec2:*::image/* → *",
        "of what a launch uses only images and snapshots have the key ec2:Owner",
    ),
    (
        HARDENED,
        "LaunchFromTrustedImages: resource arn:aws:ec2:*::snapshot/* → *",
        "of what a launch uses only images and snapshots have the key ec2:Owner",
    ),
    (
        HARDENED,
        "LaunchManaged: resource arn:aws:ec2:*:123456789012:instance/* → *",
        "of what a launch uses only the instance has the keys ec2:MetadataHttpTokens and ec2:InstanceType",
    ),
    (
        HARDENED,
        "LaunchInSharedNetworks: StringEquals → StringEqualsIfExists",
        "AWS knows the account of every subnet and security group: it is in their ARNs",
    ),
    (
        HARDENED,
        "LifecycleOfManaged: resource arn:aws:ec2:*:123456789012:instance/* → *",
        "start, stop and terminate are checked on instances alone, and only of the own account",
    ),
    (
        HARDENED,
        "PassWorkerRoleToEc2: action iam:PassRole → iam:*",
        "only PassRole has the key iam:PassedToService, and the condition asks for it",
    ),
    (HARDENED, "ReadInAllowedRegions: StringEquals → StringEqualsIfExists", "AWS names the region of every request"),
    (SWEEP, "ReadWorkers: StringEquals → StringEqualsIfExists", "AWS names the region of every request"),
    (
        SWEEP,
        "StopManaged: resource arn:aws:ec2:*:123456789012:instance/* → *",
        "stop is checked on instances alone, and only of the own account",
    ),
    (
        SWEEP,
        "TerminateManaged: resource arn:aws:ec2:*:123456789012:instance/* → *",
        "terminate is checked on instances alone, and only of the own account",
    ),
    (
        SWEEP,
        "TellChanges: action events:PutEvents → events:*",
        "of the actions on an event bus only PutEvents has the key events:source, and the condition asks for it",
    ),
    (
        API,
        "CallersOfThisAccount: drop",
        "API Gateway is content with the caller's own Allow within an account; the statement says who is meant",
    ),
    (
        API,
        "CallersOfThisAccount: action execute-api:Invoke → execute-api:*",
        "an Allow for the account gives nobody what the caller's own policy does not",
    ),
    (
        API,
        "CallersOfThisAccount: resource arn:aws:execute-api:us-east-1:123456789012:a1b2c3d4e5/* → *",
        "API Gateway asks the policy about its own API alone",
    ),
    (API, "DenyOtherSources: action execute-api:Invoke → execute-api:*", "no caller is allowed another action"),
    (
        API,
        "DenyOtherSources: resource arn:aws:execute-api:us-east-1:123456789012:a1b2c3d4e5/* → *",
        "API Gateway asks the policy about its own API alone",
    ),
    (
        WORKER,
        "PublishAgentMetrics: action cloudwatch:PutMetricData → cloudwatch:*",
        "only PutMetricData has the key cloudwatch:namespace, and the condition asks for it",
    ),
    (
        WORKER,
        "TerminateOnlySelf: resource arn:aws:ec2:*:123456789012:instance/* → *",
        "terminate is checked on instances alone",
    ),
];
