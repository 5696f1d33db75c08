"""What template.yaml makes of the sweep: its function, its role, its policy, and what calls it."""

import json

from cloudformation import given, resolved, transformed
from parameter_values import EVERY_RULE, TWO_ENTRIES

# The statements of its policy: those without a rule, and those that the rules add.
ALWAYS = ["ReadWorkers", "MarkManaged", "TellChanges"]
ADDED = [
    ({}, []),
    ({"OnIdle": "report", "OnImpaired": "report", "OnOrphan": "report"}, []),
    ({"OnIdle": "stop"}, ["StopManaged"]),
    ({"OnImpaired": "stop"}, ["StopManaged"]),
    ({"OnOrphan": "stop"}, ["StopManaged"]),
    ({"OnOrphan": "terminate"}, ["TerminateManaged"]),
    (EVERY_RULE, ["StopManaged", "TerminateManaged"]),
]

# Its own variables, each with its parameter.
VARIABLES = {
    "CML_ON_IDLE": "OnIdle",
    "CML_ON_IMPAIRED": "OnImpaired",
    "CML_ON_ORPHAN": "OnOrphan",
    "CML_IDLE_CPU_PERCENT": "IdleCpuPercent",
    "CML_IDLE_MINUTES": "IdleMinutes",
    "CML_GRACE_MINUTES": "GraceMinutes",
    "CML_HEARTBEAT_MINUTES": "HeartbeatMinutes",
    "CML_MARK_MINUTES": "MarkMinutes",
    "CML_MOST_ACTIONS_PER_SWEEP": "MostActionsPerSweep",
    "CML_MOST_ACTIONS_PER_HOUR": "MostActionsPerHour",
    "CML_EVENT_BUS": "EventBusName",
}
# The variable of all functions that it does without, because of its size.
NOT_OF_THE_SWEEP = "CML_IMAGE_PARAMETER_ARNS"

EVENTS_OF_EC2 = {
    "source": ["aws.ec2"],
    "detail-type": [
        "EC2 Instance State-change Notification",
        "EC2 Spot Instance Interruption Warning",
        "EC2 Instance Rebalance Recommendation",
    ],
}


def resources_with(values):
    return resolved(transformed(values), values)["Resources"]


def of_kind(resources, kind):
    return {name: resource["Properties"] for name, resource in resources.items() if resource["Type"] == kind}


def faults_of_policy():
    """Only a rule that stops lets the sweep stop, and only one that terminates lets it terminate."""
    for values, added in ADDED:
        document = resources_with(values)["CMLWorkerSweepPolicy"]["Properties"]["PolicyDocument"]
        found = [statement["Sid"] for statement in given(document["Statement"])]
        if sorted(found) != sorted(ALWAYS + added):
            yield f"with {values or 'no rule'}, CMLWorkerSweepPolicy has the statements {found}"


def faults_of_variables():
    """The sweep knows what its parameters say, and what the other functions know; they do not know what it knows."""
    # Whole numbers: cloud-radar takes no other ones.
    numbers = {"IdleCpuPercent": "3", "IdleMinutes": "31", "GraceMinutes": "7", "HeartbeatMinutes": "8", "MarkMinutes": "9"}
    numbers |= {"MostActionsPerSweep": "1", "MostActionsPerHour": "2"}
    values = TWO_ENTRIES | EVERY_RULE | numbers | {"EventBusName": "labs"}
    functions = of_kind(resources_with(values), "AWS::Lambda::Function")
    own, others = (functions[name]["Environment"]["Variables"] for name in ("SweepWorkers", "Health"))
    for variable, parameter in VARIABLES.items():
        if str(own.get(variable)) != values[parameter]:
            yield f"SweepWorkers: {variable} is {own.get(variable)!r} and not {parameter}"
    common = {name: value for name, value in own.items() if name not in VARIABLES and value != ""}
    if common != {name: value for name, value in others.items() if name != NOT_OF_THE_SWEEP and value != ""}:
        yield "SweepWorkers: beside its own variables it has others than Health"
    if set(VARIABLES) & set(others):
        yield "Health: it has variables of the sweep"


def faults_of_function():
    """The sweep alone has its role, nothing is tried twice, and the schedule and EC2's events call it."""
    values = {"SweepConcurrency": "1", "SweepSchedule": "rate(7 minutes)"}
    resources = resources_with(values)
    functions = of_kind(resources, "AWS::Lambda::Function")
    for name, function in functions.items():
        # cloud-radar resolves a GetAtt to a text that holds the logical id.
        expected = "SweepRole" if name == "SweepWorkers" else "ExecutionRole"
        if expected not in str(function["Role"]):
            yield f"{name}: its role is {function['Role']}"
    attached = given(resources["SweepRole"]["Properties"]["ManagedPolicyArns"])
    if attached != ["CMLWorkerSweepPolicy"]:
        yield f"SweepRole has {attached}"
    reserved = [one["SweepWorkers"]["Properties"].get("ReservedConcurrentExecutions") for one in (resources, resources_with({}))]
    if str(reserved[0]) != "1" or reserved[1] not in (None, ""):
        yield f"SweepWorkers: SweepConcurrency 1 and 0 reserve {reserved}"
    [failed] = of_kind(resources, "AWS::Lambda::EventInvokeConfig").values()
    if failed["MaximumRetryAttempts"] != 0 or "SweepDeadLetters" not in str(failed["DestinationConfig"]["OnFailure"]):
        yield f"SweepWorkers: what failed is dealt with by {failed}"
    [queue] = of_kind(resources, "AWS::SQS::Queue").values()
    if queue != {"SqsManagedSseEnabled": True, "MessageRetentionPeriod": 14 * 24 * 60 * 60}:
        yield f"SweepDeadLetters is {queue}"
    rules = [rule for rule in of_kind(resources, "AWS::Events::Rule").values() if "SweepWorkers" in json.dumps(rule["Targets"])]
    schedules = [rule["ScheduleExpression"] for rule in rules if "ScheduleExpression" in rule]
    patterns = [rule["EventPattern"] for rule in rules if "EventPattern" in rule]
    # EC2 sends to the default bus, whichever the changes are told on.
    if schedules != ["rate(7 minutes)"] or patterns != [EVENTS_OF_EC2] or any("EventBusName" in rule for rule in rules):
        yield f"SweepWorkers: it is called by {rules}"


def leftovers():
    """Without the sweep nothing of it is made, and nothing refers to it."""
    values = {"Sweep": "false"} | EVERY_RULE
    template = transformed(values)
    for name, resource in template["Resources"].items():
        if ("Sweep" in name) != (resource.get("Condition") == "Swept"):
            yield f"{name}: its Condition is {resource.get('Condition')}"
    made = resolved(template, values)
    for name, part in (made["Resources"] | made["Outputs"]).items():
        if "Sweep" in name or "Sweep" in json.dumps(part):
            yield f"{name} is there, or names what is not, with Sweep=false"


def faults():
    return [*faults_of_policy(), *faults_of_variables(), *faults_of_function(), *leftovers()]
