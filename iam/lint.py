"""Runs parliament over the policies of this folder, with their placeholders filled in.

    lint.py

Prints what it finds, and fails if that is not exactly what ACCEPTED explains. parliament's own ignore_locations would name
these places too, but match nothing in the release that is pinned (1.6.4).
"""

import collections
import json
import pathlib
import sys

import parliament

FOLDER = pathlib.Path(__file__).parent

VALUES = {
    "AWS::Partition": "aws",
    "AWS::Region": "us-east-1",
    "AWS::AccountId": "123456789012",
    "RestApiId": "abcdef1234",
    "EventBusName": "default",
    "AllowedSourceCidrs": "203.0.113.0/24",
    "ImageParameterArns": "arn:aws:ssm:us-east-1:123456789012:parameter/cml/worker-image",
    "KmsKeyArns": "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555",
}

# File and finding: how often it is made, and why it is not a fault.
ACCEPTED = {
    ("CMLWorkerManagementPolicy.json", "RESOURCE_STAR"): (
        1, "the base policy is the specification's, character for character"
    ),
    ("CMLWorkerManagementPolicy.hardened.json", "RESOURCE_MISMATCH"): (
        4, "it wants every resource type of ec2:RunInstances in each statement; one launch is checked against all of them, "
        "each with conditions of its own, hence four statements"
    ),
    ("worker-role.json", "UNKNOWN_CONDITION_FOR_ACTION"): (
        1, "ec2:SourceInstanceARN comes with the credentials of an instance role, whatever the action; "
        "parliament's tables list keys by action"
    ),
    ("worker-role.trust.json", "MALFORMED"): (
        1, "a trust policy has no Resource: it is about the role it belongs to"
    ),
    ("api-resource-policy.json", "INVALID_ARN"): (
        2, '"execute-api:/" is API Gateway\'s own short form for the ARN of the API that the policy is attached to'
    ),
}


def findings(file):
    text = file.read_text(encoding="utf-8")
    for name, value in VALUES.items():
        text = text.replace("${" + name + "}", value)
    json.loads(text)  # parliament accepts comments and trailing commas, IAM does not
    return parliament.analyze_policy_string(text, file.name).findings


def main():
    found = collections.defaultdict(list)
    for file in sorted(FOLDER.glob("*.json")):
        for finding in findings(file):
            found[file.name, finding.issue].append(finding)
    failed = False
    for place in sorted({*found, *ACCEPTED}):
        accepted, _ = ACCEPTED.get(place, (0, None))
        if len(found[place]) != accepted:
            failed = True
            print(*place, f"found {len(found[place])} times, accepted {accepted} times", *found[place], sep="\n  ")
    sys.exit(failed)


if __name__ == "__main__":
    main()
