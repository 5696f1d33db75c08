"""lint.py notices each of these faults, put back into a copy of the templates."""

import collections
import functools
import shutil

import pytest

import cloudformation
import lint
import monitoring
import sweep
from cloudformation import REPOSITORY, read
from parameter_values import LONGEST_ENTRY, TWO_ENTRIES


def deployed(values):
    return functools.partial(own_faults, values)


def deployed_and_linted(values):
    return functools.partial(all_faults, values)


def own_faults(values):
    return lint.own_faults_of_values(cloudformation.transformed(values), values, collections.Counter())


def all_faults(values):
    return lint.faults_of_values(values, collections.Counter())


def limits():
    parameters = read("template.yaml")["Parameters"]
    return [*lint.unknown_lists(parameters), *lint.faults_of_lists(parameters, LONGEST_ENTRY), *lint.faults_of_texts(parameters)]


def at_the_limits():
    return lint.faults_at_the_limits(collections.Counter())


def monitored():
    """What is found; the readers of queries and searches refuse what they do not know, which is found too."""
    found = []
    try:
        found += monitoring.faults()
    except AssertionError as error:
        found.append(str(error))
    return found


def bootstrap():
    return lint.faults_of_bootstrap(read("template.yaml")["Parameters"])


TYPES = "(,[a-z0-9.*?-]{1,20}){0,19}$"

# The file, its text, what stands there with the fault, who looks, and a word of what is said.
FAULTS = [
    ("template.yaml", "[!Ref Architecture]", "[x86_64]", deployed({"Architecture": "arm64"}), "Health: its Architectures"),
    ("template.yaml", "        Timer:\n", "        Schedule:\n", deployed_and_linted({}), "must not share name: HealthSchedule"),
    ("template.yaml", "        InvokeRole: NONE\n", "", deployed({}), "lambda:InvokeFunction"),
    ("template.yaml", "        InvokeRole: NONE\n", "        InvokeRole: !GetAtt WorkerRole.Arn\n", deployed({}), "credentials"),
    ("template.yaml", "                aws:RequestedRegion: !Split [\",\", !If [OwnRegionOnly, !Ref AWS::Region, !Ref AllowedRegions]]\n          - Sid: DenyLifecycleOfUnmanaged",
     "                aws:RequestedRegion: !Ref AWS::Region\n          - Sid: DenyLifecycleOfUnmanaged",
     deployed({"PolicyMode": "guardrail"} | TWO_ENTRIES), "is not iam/CMLWorkerManagementPolicy.guardrail.json"),
    ("template.yaml", "    DependsOn: WorkerApi\n", "", deployed({}), "should wait for WorkerApi"),
    ("template.yaml", "[!GetAtt ApiAccessLogs.Arn, !Ref ApiGatewayAccount]", "[!GetAtt ApiAccessLogs.Arn]", deployed({}), "wait for ApiGatewayAccount"),
    ("template.yaml", "  ApiAccessLogs:\n    Type: AWS::Logs::LogGroup\n", "  ApiAccessLogs:\n    Type: AWS::Logs::LogGroup\n    DependsOn: ApiGatewayAccount\n",
     deployed({}), "would not be made without MakesApiGatewayLogsRole"),
    ("template.yaml", "      RetentionInDays: !If [Audited, !Ref AuditRetentionDays, !Ref LogRetentionDays]\n", "", deployed({}), "ApiAccessLogs: it has no retention"),
    ("template.yaml", "    DeletionPolicy: RetainExceptOnCreate\n", "", deployed({}), "ApiGatewayAccount: its DeletionPolicy"),
    ("template.yaml", "    DeletionPolicy: Retain\n", "    DeletionPolicy: RetainExceptOnCreate\n", deployed({}), "LogsRoleOfApiGateway: its DeletionPolicy"),
    ("template.yaml", "    Condition: MakesApiGatewayLogsRole\n    # An account", "    # An account", deployed({"ApiGatewayLogsRole": "existing"}), "ApiGatewayAccount is there"),
    ("template.yaml", "  Alarmed: !Or [Condition: Monitored, Condition: Audited]", "  Alarmed: !And [Condition: Monitored, Condition: Audited]",
     deployed({"Audit": "true", "Monitoring": "false"}), "AlarmTopic is not there"),
    ("template.yaml", "        CML_METRICS_NAMESPACE: !If [Monitored, ", "        CML_METRICS_NAMESPACE: !If [Swept, ", deployed({"Monitoring": "false"}), "CML_METRICS_NAMESPACE is CML/"),
    ("template.yaml", "    Tracing: Active\n", "", deployed({}), "Health: it writes no traces"),
    ("template.yaml", "      TracingEnabled: true\n", "", deployed({}), "stage writes no traces"),
    ("template.yaml", "[xray:PutTraceSegments, xray:PutTelemetryRecords]\n                Resource: \"*\"\n\n", "[xray:PutTraceSegments]\n                Resource: \"*\"\n\n",
     deployed({}), "it may not write traces"),
    ("template.yaml", "        - !Ref CMLWorkerSweepPolicy\n", "        - !Ref CMLWorkerSweepPolicy\n        - arn:aws:iam::aws:policy/AWSXRayDaemonWriteAccess\n",
     deployed({}), "SweepRole: it has a managed policy for traces"),
    ("template.yaml", "\"$context.xrayTraceId\"", "\"$context.requestId\"", deployed({}), "does not lead to"),
    ("template.yaml", "        DeadLetters: !If [Swept, !GetAtt SweepDeadLetters.QueueName, \"\"]\n", "", deployed({}), "its parameters are not those of monitoring.yaml"),
    ("monitoring.yaml", "MetricName: Faults}", "MetricName: Failures}", monitored, "ErrorRate: nobody writes CML Failures"),
    ("monitoring.yaml", "\"Check\", \"Region\") GROUP", "\"Check\") GROUP", monitored, "a label that no metric of SCHEMA has"),
    ("monitoring.yaml", "SCHEMA(\"CML/${Name}\", \"Permission\")", "SCHEMA(\"CML/${Name}\", \"Operation\", \"Permission\")", monitored, "nobody writes CML MissingPermissions by Operation, Permission"),
    ("monitoring.yaml", "GROUP BY \"Permission\"", "GROUP BY Permission", monitored, "not the form of a query"),
    ("monitoring.yaml", "!= 'sweep-workers'", "= 'health' OR \"Operation\" = 'sweep-workers'", monitored, "not the form of a query"),
    ("monitoring.yaml", "MetricName: Sweeps\n", "MetricName: Sweeps\n      Dimensions: [{Name: Region, Value: us-east-1}]\n", monitored, "nobody writes CML Sweeps by Region"),
    ("monitoring.yaml", "MetricName: 5XXError", "MetricName: 5xx", monitored, "nobody writes AWS/ApiGateway 5xx"),
    ("monitoring.yaml", "\"IdleWorkers\", {", "\"Idle\", {", monitored, "nobody writes CML Idle"),
    ("monitoring.yaml", "MetricName=\\\"Latency\\\"', 'p99'", "MetricName=\\\"Duration\\\"', 'p99'", monitored, "nobody writes CML Duration"),
    ("monitoring.yaml", "          Period: 900\n      EvaluationPeriods: 2\n", "          Period: 7200\n      EvaluationPeriods: 2\n", monitored, "it looks back for longer"),
    ("monitoring.yaml", "            Period: 900\n", "            Period: 300\n", monitored, "the same period"),
    ("monitoring.yaml", "AlarmName: !Sub ${Name}-error-rate", "AlarmName: error-rate", monitored, "does not begin with the stack's name"),
    ("monitoring.yaml", "    Condition: Swept\n", "", monitored, "without the sweep there are the alarms"),
    ("monitoring.yaml", "DashboardName: !Sub ${Name}-${AWS::Region}", "DashboardName: !Ref Name", monitored, "dashboards are the whole account's"),
    ("monitoring.yaml", "\"x\": 12, \"y\": 10, \"width\": 12", "\"x\": 11, \"y\": 10, \"width\": 12", monitored, "overlap"),
    ("monitoring.yaml", "\"x\": 12, \"y\": 10, \"width\": 12", "\"x\": 12, \"y\": 10, \"width\": 13", monitored, "does not fit"),
    ("monitoring.yaml", "{\"left\": {\"min\": 0, \"label\": \"failed checks\"", "{\"left\": {\"label\": \"failed checks\"", monitored, "should begin at 0"),
    ("monitoring.yaml", "                  \"${ErrorRate.Arn}\",\n", "", monitored, "does not show ['ErrorRate']"),
    ("monitoring.yaml", "GROUP BY \"Permission\" ORDER BY SUM() DESC", "GROUP BY \"Permission\"", monitored, "MissingPermission: its query should end in ORDER BY"),
    ("monitoring.yaml", "ORDER BY MIN() DESC", "ORDER BY MAX() DESC", monitored, "ImpairedWorkers: its query should end in ORDER BY"),
    ("monitoring.yaml", "\"view\": \"timeSeries\"", "\"view\": \"bar\"", monitored, "should be lines over time"),
    ("monitoring.yaml", "\"stacked\": false", "\"stacked\": true", monitored, "and not stacked"),
    ("monitoring.yaml", "by Code, Operation", "by Code, Function", monitored, "Function is no metric"),
    ("monitoring.yaml", "      QueryString: |-\n        fields @timestamp, fields", "      QueryString: |-\n        fields @timestamp, fields" + ".x" * 5_000, monitored, "longer than CloudWatch Logs takes"),
    ("iam/audit.yaml", "      IsLogging: true", "      IsLogging: false", lint.faults_of_audit, "AuditTrail: it should log"),
    ("iam/audit.yaml", "      Description: Lets CloudTrail write", "      RoleName: cml-audit-logs\n      Description: Lets CloudTrail write", lint.faults_of_audit, "cml-audit-logs"),
    ("template.yaml", "aws:SourceIp: !Split [\",\", !Ref AllowedSourceCidrs]", "aws:SourceIp: !Ref AllowedSourceCidrs",
     deployed(TWO_ENTRIES), "aws:SourceIp is one text"),
    ("template.yaml", "aws:ResourceAccount: !Split [\",\", !Ref NetworkOwners]", "aws:ResourceAccount: !Select [0, !Split [\",\", !Ref NetworkOwners]]",
     deployed(TWO_ENTRIES), "NetworkOwners: 444455556666 is in no policy"),
    ("template.yaml", "              Action: execute-api:Invoke\n              Resource: execute-api:/*\n", "              Action: execute-api:*\n              Resource: execute-api:/*\n",
     deployed(TWO_ENTRIES), "is not iam/api-resource-policy.json"),
    ("template.yaml", "        DEFAULT_4XX:\n", "        DEFAULT_4XX:\n          StatusCode: 403\n", deployed({}), "DEFAULT_4XX"),
    ("template.yaml", "CMLWorkerCallerReader${NameSuffix}", "CMLWorkerCallerReader", deployed({"NameSuffix": "-lab"}), "does not end in NameSuffix"),
    ("template.yaml", TYPES, TYPES.replace("19", "29"), limits, "takes more than 20 entries"),
    ("template.yaml", TYPES, TYPES.replace("19", "9"), limits, "refuses 20 entries"),
    ("template.yaml", TYPES, TYPES.replace("1,20", "1,40"), limits, "takes a longer entry"),
    ("template.yaml", "    MaxLength: 64\n", "    MaxLength: 256\n", limits, "64 characters should be the most"),
    ("template.yaml", "            - Sid: TagAtLaunchOnly\n", "            - Sid: Tag" + "AtLaunchOnly" * 2 + "\n", at_the_limits, "6144 are the most"),
    ("template.yaml", "        CML_ALLOWED_SUBNETS:", "        CML_MORE: " + "x" * 1024 + "\n        CML_ALLOWED_SUBNETS:", at_the_limits, "4096 are the most"),
    ("template.yaml", "ec2:SubnetID: !Split [\",\", !Ref AllowedSubnets]", "ec2:SubnetID: !Split [\",\", !Ref AllowedSecurityGroups]",
     deployed(TWO_ENTRIES), "is not iam/CMLWorkerLimitsPolicy.json"),
    ("iam/bootstrap.yaml", "ec2:KeyPairName: !Split [\",\", !Ref AllowedKeyNames]", "ec2:KeyPairName: !Ref AllowedKeyNames", bootstrap,
     "CMLWorkerLimitsPolicy is another one in template.yaml"),
    ("template.yaml", "Condition: KeyNamesGiven, Condition: TagKeysGiven]", "Condition: KeyNamesGiven]", lint.lone_limits,
     "AllowedTagKeys alone makes the statements None"),
    ("iam/bootstrap.yaml", "Condition: KeyNamesGiven, Condition: TagKeysGiven]", "Condition: KeyNamesGiven]", lint.lone_limits,
     "iam/bootstrap.yaml: AllowedTagKeys alone makes"),
    ("template.yaml", "        - !If [Limited, !Ref CMLWorkerLimitsPolicy, !Ref AWS::NoValue]\n", "", lint.lone_limits, "ExecutionRole has"),
    ("template.yaml", "CML_ALLOWED_KEY_NAMES: !If [KeyNamesGiven,", "CML_ALLOWED_KEY_NAMES: !If [SubnetsGiven,", lint.lone_limits, "environment"),
    ("template.yaml", ":role/${WorkerRoleName}${NameSuffix}\n        CML_NETWORK", ":role/${WorkerRoleName}\n        CML_NETWORK", lint.wrong_environment,
     "CML_WORKER_ROLE_ARN"),
    ("iam/bootstrap.yaml", "  Limited: !Or", "  Limited: !And [Condition: MakePolicy, Condition: SomeList]\n  SomeList: !Or", bootstrap,
     "with a PolicyArn it has no limits"),
    ("iam/bootstrap.yaml", "ec2:MetadataHttpTokens: required", "ec2:MetadataHttpTokens: optional", bootstrap, "is another one in template.yaml"),
    ("iam/audit.yaml", "    DeletionPolicy: RetainExceptOnCreate", "    DeletionPolicy: Retain", lint.faults_of_audit, "should be RetainExceptOnCreate"),
    ("iam/audit.yaml", "            Action: sts:AssumeRole\n", "            Action: sts:AssumeRole\n            Condition: {StringEquals: {aws:SourceArn: x}}\n",
     lint.faults_of_audit, "AuditLogsRole"),
    ("template.yaml", "  SweepStops: !Or [!Equals [!Ref OnIdle, stop], ", "  SweepStops: !Or [!Equals [!Ref OnIdle, report], ", sweep.faults_of_policy,
     "CMLWorkerSweepPolicy has the statements"),
    ("template.yaml", "!Equals [!Ref OnOrphan, terminate]", "!Equals [!Ref OnOrphan, stop]",
     deployed({"OnOrphan": "terminate"} | TWO_ENTRIES), "is not iam/CMLWorkerSweepPolicy.json"),
    ("template.yaml", "events:source: cml.workers", "events:source: aws.ec2", deployed(TWO_ENTRIES), "is not iam/CMLWorkerSweepPolicy.json"),
    ("template.yaml", "CML_HEARTBEAT_MINUTES: !Ref HeartbeatMinutes", "CML_HEARTBEAT_MINUTES: !Ref GraceMinutes", sweep.faults_of_variables,
     "CML_HEARTBEAT_MINUTES is"),
    ("template.yaml", "          CML_IMAGE_PARAMETER_ARNS: !Ref AWS::NoValue\n", "", at_the_limits, "SweepWorkers has"),
    ("template.yaml", "      Role: !GetAtt SweepRole.Arn\n", "      Role: !GetAtt ExecutionRole.Arn\n", sweep.faults_of_function, "SweepWorkers: its role is"),
    ("template.yaml", "        MaximumRetryAttempts: 0\n", "        MaximumRetryAttempts: 1\n", sweep.faults_of_function, "what failed is dealt with"),
    ("template.yaml", "ReservedConcurrentExecutions: !If [NoSweepConcurrency, !Ref AWS::NoValue, ", "ReservedConcurrentExecutions: !If [NoSweepConcurrency, 1, ",
     sweep.faults_of_function, "1 and 0 reserve"),
    ("template.yaml", "              source: [aws.ec2]\n", "              source: [aws.autoscaling]\n", sweep.faults_of_function, "it is called by"),
    ("template.yaml", "    Type: AWS::SQS::Queue\n    Condition: Swept\n", "    Type: AWS::SQS::Queue\n", sweep.leftovers, "SweepDeadLetters: its Condition"),
    ("template.yaml", "  PolicyArn:\n", "  Queue:\n    Value: !Ref SweepDeadLetters\n  PolicyArn:\n", sweep.leftovers, "Queue is there"),
    ("template.yaml", "{1,256}$\n", "{1,512}$\n", limits, "256 characters should be the most"),
    ("iam/README.md", "| AllowedInstanceTypes | 20", "| AllowedInstanceTypes | 30", lint.undocumented_limits, "does not say that 20"),
]


SOUND = {}


def sound(look):
    """What it finds in the templates as they are. Looking takes seconds, so what is looked at in the same way is looked at once."""
    key = repr((look.func, look.args)) if isinstance(look, functools.partial) else look
    if key not in SOUND:
        SOUND[key] = list(look())
    return SOUND[key]


@pytest.mark.parametrize(("file", "good", "bad", "look", "said"), FAULTS, ids=[fault[4] for fault in FAULTS])
def test_a_fault_is_noticed(file, good, bad, look, said, tmp_path, monkeypatch):
    assert not [fault for fault in sound(look) if said in fault]
    shutil.copy(REPOSITORY / "template.yaml", tmp_path)
    shutil.copy(REPOSITORY / "monitoring.yaml", tmp_path)
    shutil.copytree(REPOSITORY / "iam", tmp_path / "iam")
    monkeypatch.setattr(cloudformation, "REPOSITORY", tmp_path)
    text = (tmp_path / file).read_text(encoding="utf-8")
    assert good in text
    (tmp_path / file).write_text(text.replace(good, bad, 1), encoding="utf-8")
    assert any(said in fault for fault in look())
