"""The policies of template.yaml are the files of iam/, filled with the values of the parameters."""

import json

import cloudformation

# The resources that are policies, and their files.
FILES = {
    "CallerReaderPolicy": "caller-reader",
    "CallerOperatorPolicy": "caller-operator",
    "CallerLauncherPolicy": "caller-launcher",
    "CMLWorkerGuardrailPolicy": "CMLWorkerManagementPolicy.guardrail",
    "CMLWorkerLimitsPolicy": "CMLWorkerLimitsPolicy",
    "CMLWorkerSweepPolicy": "CMLWorkerSweepPolicy",
}
BASE, HARDENED = "CMLWorkerManagementPolicy", "CMLWorkerManagementPolicy.hardened"

# The statements of files that the template has only if one of these parameters has this value.
ONLY_IF = {
    "StopManaged": ("stop", ("OnIdle", "OnImpaired", "OnOrphan")),
    "TerminateManaged": ("terminate", ("OnOrphan",)),
}

# How cloud-radar resolves what only AWS knows.
KNOWN = {
    "AWS::Partition": "aws", "AWS::Region": cloudformation.REGION, "AWS::AccountId": cloudformation.ACCOUNT_ID,
    "RestApiId": "WorkerApi",
}


def filled(file, values):
    """The file with its placeholders filled: one that stands alone in a list is replaced by the entries of the list."""
    text = (cloudformation.REPOSITORY / "iam" / f"{file}.json").read_text(encoding="utf-8")
    for name, value in values.items():
        entries = json.dumps(str(value).split(","))[1:-1]
        text = text.replace(f'["${{{name}}}"]', f"[{entries}]").replace(f"${{{name}}}", str(value))
    policy = json.loads(text)
    policy["Statement"] = [statement for statement in policy["Statement"] if is_wanted(statement, values)]
    return policy


def is_wanted(statement, values):
    wish, parameters = ONLY_IF.get(statement.get("Sid"), (None, ()))
    return not parameters or wish in [values[parameter] for parameter in parameters]


def normal(policy):
    """A policy means the same with one element as with a list of one."""
    if isinstance(policy, list):
        policy = cloudformation.given(policy)
        return normal(policy[0]) if len(policy) == 1 else [normal(element) for element in policy]
    if isinstance(policy, dict):
        return {name: normal(member) for name, member in policy.items()}
    return policy


def all_values(values):
    defaults = {name: one.get("Default", "") for name, one in cloudformation.read("template.yaml")["Parameters"].items()}
    owners = f"{cloudformation.ACCOUNT_ID},{values['ImageOwners']}"
    tag_keys = f"Name,ManagedBy,CreatedBy,IdempotencyFingerprint,{values['AllowedTagKeys']}"
    return KNOWN | defaults | values | {"ImageOwners": owners, "AllowedTagKeys": tag_keys}


def deployed(resources, mode):
    """Each policy with the file that it should be."""
    for name, file in (FILES | {BASE: HARDENED if mode == "hardened" else BASE}).items():
        if name in resources:
            yield file, resources[name]["Properties"]["PolicyDocument"]
    yield "api-resource-policy", resources["WorkerApi"]["Properties"]["Body"]["x-amazon-apigateway-policy"]
    [worker] = resources["WorkerRole"]["Properties"]["Policies"]
    yield "worker-role", worker["PolicyDocument"]


def faults(resources, values):
    """Policies that are another one than their file; every list of the values has entries."""
    values = all_values(values)
    for file, policy in deployed(resources, values["PolicyMode"]):
        if normal(policy) != normal(filled(file, values)):
            yield f"the template's policy is not iam/{file}.json"
