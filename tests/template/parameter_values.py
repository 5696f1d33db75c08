"""Values of the templates' parameters that the templates are judged with."""

# A value for every list, with two entries.
TWO_ENTRIES = {
    "AllowedRegions": "us-east-1,us-west-2",
    "AllowedInstanceTypes": "c5.*,m5zn.metal",
    "AllowedKeyNames": "lab-*,ops",
    "AllowedSecurityGroups": "sg-0123456789abcdef0,sg-0123456789abcdef1",
    "AllowedSourceCidrs": "203.0.113.0/24,198.51.100.7/32",
    "AllowedSubnets": "subnet-0123456789abcdef0,subnet-0123456789abcdef1",
    "AllowedTagKeys": "cml:*,Cost?Center",
    "BusinessDays": "1,2",
    "BusinessHours": "8,9",
    "ImageOwners": "111122223333,amazon",
    "ImageParameterArns": "arn:aws:ssm:us-east-1:123456789012:parameter/cml/*,"
    "arn:aws:ssm:us-east-1::parameter/aws/service/ami-amazon-linux-latest/*",
    "KmsKeyArns": "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555,"
    "arn:aws:kms:us-west-2:123456789012:key/66666666-7777-8888-9999-000000000000",
    "NetworkOwners": "111122223333,444455556666",
    "RolesOfPeople": "lab-*,okta",
}

LISTS_OF_ALARMS = {"BusinessDays", "BusinessHours"}
# The lists that are in no policy.
LISTS_OF_NO_POLICY = LISTS_OF_ALARMS | {"RolesOfPeople"}

# How many entries each list may have, and the longest one that its pattern takes.
LONGEST_ENTRY = {
    "AllowedRegions": (8, "r" * 16),
    "AllowedInstanceTypes": (20, "t" * 20),
    "AllowedKeyNames": (6, "k" * 64),
    "AllowedSecurityGroups": (12, "sg-" + "0" * 17),
    "AllowedSourceCidrs": (50, "f" * 39 + "/128"),
    "AllowedSubnets": (12, "subnet-" + "0" * 17),
    "AllowedTagKeys": (8, "t" * 64),
    "BusinessDays": (7, "7"),
    "BusinessHours": (24, "23"),
    "ImageOwners": (5, "aws-backup-vault"),
    "ImageParameterArns": (3, f"arn:{'p' * 16}:ssm:{'r' * 16}:123456789012:parameter/{'n' * 80}"),
    "KmsKeyArns": (2, f"arn:{'p' * 16}:kms:{'r' * 16}:123456789012:key/{'k' * 36}"),
    "NetworkOwners": (3, "111122223333"),
    "RolesOfPeople": (8, "r" * 64),
}
# iam/bootstrap.yaml has one more list.
LONGEST_PRINCIPAL = {"PrincipalArns": (5, f"arn:{'p' * 16}:iam::123456789012:user/{'n' * 128}")}
LONGEST_TEXT = {"EventBusName": "b" * 256, "ManagedBy": "m" * 64, "NameSuffix": "-" + "s" * 19, "WorkerRoleName": "w" * 40}
FULL = {name: ",".join([entry] * count) for name, (count, entry) in (LONGEST_ENTRY | LONGEST_PRINCIPAL).items()} | LONGEST_TEXT
# The rules of the sweep that make all statements of its policy.
EVERY_RULE = {"OnIdle": "stop", "OnImpaired": "stop", "OnOrphan": "terminate"}
# The partition whose name makes the longest ARNs.
LONGEST_PARTITION = "aws-us-gov"

PARAMETER_SETS = {
    "defaults": {},
    "Audit": {"Audit": "true", "AlarmEmail": "ops@example.com"},
    "Audit without Monitoring": {"Audit": "true", "Monitoring": "false", "AlarmEmail": "ops@example.com"},
    "no Monitoring": {"Monitoring": "false", "AlarmEmail": "ops@example.com"},
    "a second stack": {"NameSuffix": "-lab", "ApiGatewayLogsRole": "existing", "AlarmEmail": "ops@example.com"},
    "two entries in every list": TWO_ENTRIES | {"Audit": "true"},
    "guardrail": {"PolicyMode": "guardrail"} | TWO_ENTRIES,
    "base": {"PolicyMode": "base"} | TWO_ENTRIES,
    "a suffix, on Graviton": {"NameSuffix": "-lab", "PolicyMode": "guardrail", "Architecture": "arm64"},
    "every rule of the sweep": EVERY_RULE | TWO_ENTRIES | {"EventBusName": "cml/labs_1.a-b", "SweepConcurrency": "1"},
    "rules of the sweep that report": {"OnIdle": "report", "OnImpaired": "report", "OnOrphan": "report"} | TWO_ENTRIES,
    "no sweep": {"Sweep": "false"} | EVERY_RULE | TWO_ENTRIES | {"Audit": "true"},
}

# What iam/audit.yaml gets from template.yaml.
AUDIT = {
    "Name": "cml-workers",
    "RetentionDays": "365",
    "AlarmTopicArn": "arn:aws:sns:us-east-1:123456789012:alarms",
    "AccessLogs": "/aws/apigateway/cml-workers/v1",
    "RunInstancesThreshold": "20",
    "FailedAuthenticationThreshold": "10",
    "BusinessHours": FULL["BusinessHours"],
    "BusinessDays": FULL["BusinessDays"],
}
# What monitoring.yaml gets from template.yaml; the name is the longest that leaves room for those of the functions.
MONITORING = {
    "Name": "n" * 29,
    "AlarmTopicArn": "arn:aws:sns:us-east-1:123456789012:alarms",
    "FunctionLogs": "/aws/lambda/cml-workers-health,/aws/lambda/cml-workers-sweep-workers",
    "AccessLogs": "/aws/apigateway/cml-workers/v1",
    "DeadLetters": "cml-workers-SweepDeadLetters-1ABCDEFGHIJKL",
}
PRINCIPAL = {"PrincipalArns": "arn:aws:iam::123456789012:user/alice"}
