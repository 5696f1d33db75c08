"""Checks the templates as CloudFormation gets them, for sets of parameter values. `make lint` runs it.

cfn-lint on template.yaml alone is not enough: SAM adds resources and writes parameter values into the API's definition, and
neither is in that file. So each set of values is transformed as AWS would transform it, and the result is judged.
"""

import collections
import json
import re
import sys

import cfnlint.api
from cfnlint.config import ManualArgs

import cloudformation
import monitoring
import policy_files
import sweep
from cloudformation import given, read, resolved, transformed
from parameter_values import (
    AUDIT, EVERY_RULE, FULL, LISTS_OF_NO_POLICY, LONGEST_ENTRY, LONGEST_PARTITION, LONGEST_PRINCIPAL, LONGEST_TEXT, MONITORING, PARAMETER_SETS,
    PRINCIPAL, TWO_ENTRIES
)

REGIONS = ["us-east-1", "us-west-2"]

# Characters without white space: IAM's quotas for a managed policy, a role's trust policy and all policies in a role
# ("IAM and AWS STS quotas"), and API Gateway's for a resource policy ("Amazon API Gateway quotas": 8,192 bytes).
MOST_OF_MANAGED, MOST_OF_TRUST, MOST_IN_ROLE, MOST_OF_API = 6_144, 2_048, 10_240, 8_192
# "Lambda quotas": "Function environment variables: 4 KB, for all environment variables associated with the function, in aggregate".
MOST_OF_ENVIRONMENT = 4_096


def fill(template, values):
    """The template with these values as the defaults of its parameters, which is where cfn-lint takes them from."""
    filled = json.loads(json.dumps(template))
    for name, value in values.items():
        filled["Parameters"][name]["Default"] = value
    return filled


def linted(template, values):
    """What cfn-lint finds in a template with these values."""
    for match in cfnlint.api.lint(json.dumps(fill(template, values)), config=ManualArgs(regions=REGIONS)):
        remedy = "; SAM makes such names from function and event: rename the event" if match.rule.id == "E3007" else ""
        yield f"{match.rule.id} {match.message} ({'/'.join(map(str, getattr(match, 'path', None) or []))}){remedy}"


def leaves(value, path=()):
    """Every text in a document, with the names that lead to it."""
    if isinstance(value, dict):
        for name, member in value.items():
            yield from leaves(member, (*path, name))
    elif isinstance(value, list):
        for element in value:
            yield from leaves(element, path)
    else:
        yield path, value


def policies(resources):
    """Every policy of the resolved resources: where it is, how large it may be, and itself. Those in one role are one."""
    for name, resource in resources.items():
        properties = resource.get("Properties", {})
        if resource["Type"] == "AWS::IAM::ManagedPolicy":
            yield name, MOST_OF_MANAGED, properties["PolicyDocument"]
        elif resource["Type"] == "AWS::IAM::Role":
            yield f"{name}: trust", MOST_OF_TRUST, properties["AssumeRolePolicyDocument"]
            inline = [policy["PolicyDocument"] for policy in properties.get("Policies", [])]
            yield f"{name}: policies", MOST_IN_ROLE, inline
        elif resource["Type"] == "AWS::ApiGateway::RestApi":
            yield f"{name}: resource policy", MOST_OF_API, properties["Body"]["x-amazon-apigateway-policy"]


def size(policy):
    return len(re.sub(r"\s", "", json.dumps(policy, ensure_ascii=False)))


def credentials(template):
    """Where API Gateway would call a function with the caller's credentials, or with any but its own permission."""
    for path, value in leaves(template):
        if "credentials" in path:
            yield f"{'/'.join(path)} is {value!r}: every caller would need lambda:InvokeFunction"


def strayed_lists(resources):
    """Where a list of two became one text: IAM would compare with a text that holds a comma."""
    for name, _, policy in policies(resources):
        for path, value in leaves(policy):
            if isinstance(value, str) and "," in value:
                yield f"{name}: {'/'.join(path)} is one text, {value!r}: split the parameter, !Split [\",\", !Ref …]"


def lost_entries(resources, lists):
    """Entries that reached no policy. Every list but the two of the alarms is meant for one."""
    found = {value for _, _, policy in policies(resources) for _, value in leaves(policy)}
    for name in sorted(set(lists) - LISTS_OF_NO_POLICY):
        for entry in lists[name].split(","):
            if entry not in found:
                yield f"{name}: {entry} is in no policy"


def unsuffixed(resources, suffix):
    """IAM names that another stack of the account would have too."""
    named = ("ManagedPolicyName", "RoleName", "InstanceProfileName", "UserName", "GroupName")
    for name, resource in resources.items():
        for member in named:
            given = resource.get("Properties", {}).get(member)
            if given is not None and not given.endswith(suffix):
                yield f"{name}: {member} {given} does not end in NameSuffix"


def fixed_fallback(resources):
    """API Gateway: "Changing the status code of this fallback gateway response changes the status codes of all other 4XX responses"."""
    for name, resource in resources.items():
        if resource["Type"] == "AWS::ApiGateway::RestApi":
            fallback = resource["Properties"]["Body"]["x-amazon-apigateway-gateway-responses"]["DEFAULT_4XX"]
            if "statusCode" in fallback or '"status"' in json.dumps(fallback["responseTemplates"]).replace("\\", ""):
                yield f"{name}: DEFAULT_4XX gives all other 4XX responses one status"


def too_early(template, resources):
    """AWS::ApiGateway::Account: "If an API Gateway resource has never been created in your AWS account, you must add a dependency"."""
    account = resources.get("ApiGatewayAccount")
    if account and account.get("DependsOn") not in ("WorkerApi", ["WorkerApi"]):
        yield "ApiGatewayAccount: it should wait for WorkerApi"
    [stage] = [one for one in resources.values() if one["Type"] == "AWS::ApiGateway::Stage"]
    [written] = [one for one in template["Resources"].values() if one["Type"] == "AWS::ApiGateway::Stage"]
    if "ApiGatewayAccount" not in json.dumps(written["Properties"]["AccessLogSetting"]) or not stage["Properties"]["AccessLogSetting"]:
        yield "the API's stage should have an access log, and wait for ApiGatewayAccount"


def lost_with_others(template):
    """Condition attribute: "If a resource with a condition isn't created, any resources that depend on that resource aren't created
    either, regardless of their own conditions."
    """
    for name, resource in template["Resources"].items():
        needed = resource.get("DependsOn", [])
        for other in [needed] if isinstance(needed, str) else needed:
            condition = template["Resources"][other].get("Condition")
            if condition not in (None, resource.get("Condition")):
                yield f"{name}: it depends on {other}, and would not be made without {condition}"


def faults_of_retention(resources):
    """What the logs of the region need outlives the stack, and no log group is kept for ever."""
    for name, resource in resources.items():
        # A Retain keeps what a stack made that never came to be, and the next try makes more of it. The role of API Gateway's
        # logs stays all the same: the region's setting names it, and the logs of all APIs would end with it.
        if resource.get("DeletionPolicy") == "Retain" and name != "LogsRoleOfApiGateway":
            yield f"{name}: DeletionPolicy Retain should be RetainExceptOnCreate"
        if resource["Type"] == "AWS::Logs::LogGroup" and not resource["Properties"].get("RetentionInDays"):
            yield f"{name}: it has no retention"
    for name, policy in {"LogsRoleOfApiGateway": "Retain", "ApiGatewayAccount": "RetainExceptOnCreate"}.items():
        if name in resources and resources[name].get("DeletionPolicy") != policy:
            yield f"{name}: its DeletionPolicy should be {policy}"


def oversized(resources, largest):
    for name, most, policy in policies(resources):
        largest[name] = max(largest[name], size(policy))
        if size(policy) > most:
            yield f"{name} has {size(policy)} characters, {most} are the most"


def overfull(resources):
    """Functions whose environment Lambda would refuse."""
    for name, resource in resources.items():
        if resource["Type"] == "AWS::Lambda::Function":
            variables = resource["Properties"]["Environment"]["Variables"]
            used = sum(len(f"{variable}{value}".encode()) for variable, value in variables.items())
            if used > MOST_OF_ENVIRONMENT:
                yield f"{name} has {used} bytes of environment, {MOST_OF_ENVIRONMENT} are the most"


def other_architectures(resources, architecture):
    """Functions that Lambda would run on another processor than the one that Architecture names."""
    for name, resource in resources.items():
        if resource["Type"] == "AWS::Lambda::Function" and resource["Properties"]["Architectures"] != [architecture]:
            yield f"{name}: its Architectures are {resource['Properties']['Architectures']} and not {[architecture]}"


def faults_of_values(values, largest):
    """What is wrong with template.yaml deployed with these values."""
    template = transformed(values)
    yield from own_faults_of_values(template, values, largest)
    yield from linted(template, values)


def own_faults_of_values(template, values, largest):
    """Without cfn-lint, which takes longer than all the rest."""
    resources = resolved(template, values)["Resources"]
    yield from credentials(template)
    yield from strayed_lists(resources)
    yield from fixed_fallback(resources)
    yield from too_early(template, resources)
    yield from lost_with_others(template)
    yield from faults_of_retention(resources)
    yield from monitoring.faults_of_stack(template, resources, values)
    yield from unsuffixed(resources, values.get("NameSuffix", ""))
    yield from oversized(resources, largest)
    yield from other_architectures(resources, values.get("Architecture", "x86_64"))
    if set(TWO_ENTRIES) <= set(values):
        yield from policy_files.faults(resources, values)
    if set(TWO_ENTRIES) <= set(values) and values.get("PolicyMode") is None:
        yield from lost_entries(resources, TWO_ENTRIES)


# The lists of CMLWorkerLimitsPolicy: the environment variable of each, and the statement.
LIMITS = {
    "AllowedSubnets": ("CML_ALLOWED_SUBNETS", "DenyOtherSubnets"),
    "AllowedSecurityGroups": ("CML_ALLOWED_SECURITY_GROUPS", "DenyOtherSecurityGroups"),
    "AllowedKeyNames": ("CML_ALLOWED_KEY_NAMES", "DenyOtherKeyPairs"),
    "AllowedTagKeys": ("CML_ALLOWED_TAG_KEYS", "DenyOtherTagKeys"),
}


def lone_limits():
    """Each list of the limits alone makes its own statement and its own variable, in both templates, and no other one."""
    bootstrap = read("iam/bootstrap.yaml")
    for name, (variable, sid) in LIMITS.items():
        values = {name: TWO_ENTRIES[name]}
        resources = resolved(transformed(values), values)["Resources"]
        yield from wrong_limits("template.yaml", name, sid, resources.get("CMLWorkerLimitsPolicy", {}).get("Properties"))
        attached = resources["ExecutionRole"]["Properties"]["ManagedPolicyArns"]
        if given(attached) != ["CMLWorkerManagementPolicy", "CMLWorkerLimitsPolicy"]:
            yield f"{name} alone: ExecutionRole has {attached}"
        variables = resources["Health"]["Properties"]["Environment"]["Variables"]
        if [one for one, _ in LIMITS.values() if variables.get(one)] != [variable]:
            yield f"{name} alone: the functions' environment is {sorted(variables)}"
        role = resolved(bootstrap, values | PRINCIPAL)["Resources"]["ManagerRole"]["Properties"]
        inline = [policy for policy in given(role["Policies"]) if policy["PolicyName"] == "CMLWorkerLimits"]
        yield from wrong_limits("iam/bootstrap.yaml", name, sid, inline[0] if inline else None)


def wrong_limits(file, name, sid, policy):
    found = [statement["Sid"] for statement in given(policy["PolicyDocument"]["Statement"])] if policy else None
    if found != [sid]:
        yield f"{file}: {name} alone makes the statements {found}"


def wrong_environment():
    """What the self-test makes its statements of is what the policy is made of."""
    values = TWO_ENTRIES | {"NameSuffix": "-lab", "PolicyMode": "guardrail"}
    resources = resolved(transformed(values), values)["Resources"]
    expected = {
        "CML_POLICY_MODE": "guardrail",
        "CML_WORKER_ROLE_ARN": f"arn:aws:iam::{cloudformation.ACCOUNT_ID}:role/{resources['WorkerRole']['Properties']['RoleName']}",
        "CML_NETWORK_OWNERS": TWO_ENTRIES["NetworkOwners"],
        "CML_KMS_KEY_ARNS": TWO_ENTRIES["KmsKeyArns"],
    }
    variables = resources["Health"]["Properties"]["Environment"]["Variables"]
    for variable, value in expected.items():
        if variables.get(variable) != value:
            yield f"{variable} is {variables.get(variable)!r} and not {value!r}"


def is_list(parameter):
    return "separated by commas" in parameter.get("ConstraintDescription", "")


def takes(parameter, value):
    return re.fullmatch(parameter["AllowedPattern"], value) is not None


def lists_of(parameters):
    return {name for name, parameter in parameters.items() if is_list(parameter)}


def unknown_lists(parameters):
    lists = lists_of(parameters)
    if lists != set(TWO_ENTRIES) or lists != set(LONGEST_ENTRY):
        yield f"the lists of template.yaml are {sorted(lists)}: each needs a value in TWO_ENTRIES and in LONGEST_ENTRY"


def faults_of_lists(parameters, longest):
    """Lists whose length nothing bounds, or that are not split the same way whoever runs SAM."""
    for name in sorted(lists_of(parameters) & set(longest)):
        parameter, (count, entry) = parameters[name], longest[name]
        if parameter["Type"] != "String":
            yield f"{name}: a list is a String that is split where it is used"
        if "Default" in parameter and not takes(parameter, parameter["Default"]):
            yield f"{name}: its Default is refused: {parameter['ConstraintDescription']}"
        if not takes(parameter, FULL[name]):
            yield f"{name}: refuses {count} entries such as {entry}"
        if takes(parameter, f"{FULL[name]},{entry}"):
            yield f"{name}: takes more than {count} entries, and IAM may then refuse the policy"
        if str(count) not in parameter["ConstraintDescription"]:
            yield f"{name}: ConstraintDescription does not say that {count} entries are the most"
        # An entry's own end may be of a fixed length, so that only its middle can grow; and the pattern says each bound twice.
        longer = [entry[:at] + entry[at] + entry[at:] for at in range(len(entry)) if entry[at].isalpha()]
        if any(takes(parameter, text) for one in longer for text in (one, f"{entry},{one}")):
            yield f"{name}: takes a longer entry than {entry}"


def undocumented_limits():
    """iam/README.md says how long each list of a policy may be."""
    text = (cloudformation.REPOSITORY / "iam/README.md").read_text(encoding="utf-8")
    for name in sorted(set(LONGEST_ENTRY) - LISTS_OF_NO_POLICY):
        if not re.search(rf"^\| {name} \| {LONGEST_ENTRY[name][0]}\b", text, re.MULTILINE):
            yield f"{name}: iam/README.md does not say that {LONGEST_ENTRY[name][0]} entries are the most"


def faults_of_texts(parameters):
    for name, text in LONGEST_TEXT.items():
        parameter = parameters[name]
        longer = text + text[-1]
        bounded = len(longer) > parameter.get("MaxLength", len(longer)) or not takes(parameter, longer)
        if not takes(parameter, text) or not bounded:
            yield f"{name}: {len(text)} characters should be the most"


def faults_of_bootstrap(parameters):
    """iam/bootstrap.yaml makes the same policy from the same parameters."""
    bootstrap = read("iam/bootstrap.yaml")
    yield from faults_of_lists(bootstrap["Parameters"], LONGEST_PRINCIPAL)
    for name, parameter in bootstrap["Parameters"].items():
        for member in ("Type", "AllowedPattern", "ConstraintDescription", "Default", "MaxLength"):
            if name in parameters and parameter.get(member) != parameters[name].get(member):
                yield f"{name}: {member} is another one in template.yaml"
    values = TWO_ENTRIES | PRINCIPAL
    both = [resolved(template, known_to(template, values))["Resources"] for template in (bootstrap, transformed(TWO_ENTRIES))]
    inline = {policy["PolicyName"]: policy for policy in given(both[0]["ManagerRole"]["Properties"]["Policies"])}
    pairs = {
        "CMLWorkerManagementPolicy": both[0]["CMLWorkerManagementPolicy"]["Properties"],
        "CMLWorkerLimitsPolicy": inline["CMLWorkerLimits"],
    }
    for policy, here in pairs.items():
        if here["PolicyDocument"] != both[1][policy]["Properties"]["PolicyDocument"]:
            yield f"{policy} is another one in template.yaml, with two entries in every list"
    # The limits are made where the policy is somebody else's, too.
    others = values | {"PolicyArn": "arn:aws:iam::123456789012:policy/CMLWorkerManagementPolicy"}
    role = resolved(bootstrap, known_to(bootstrap, others))["Resources"]["ManagerRole"]["Properties"]
    if "CMLWorkerLimits" not in [policy["PolicyName"] for policy in given(role["Policies"])]:
        yield "ManagerRole: with a PolicyArn it has no limits"
    yield from linted(bootstrap, PRINCIPAL)


def faults_of_audit():
    audit = read("iam/audit.yaml")
    resources = resolved(audit, AUDIT)["Resources"]
    yield from linted(audit, AUDIT)
    # It gets no suffix: its IAM names are CloudFormation's own, which are unique.
    yield from unsuffixed(resources, "<a name of CloudFormation's own>")
    trail = resources["AuditTrail"]["Properties"]
    if not (trail["IsLogging"] and trail["IsMultiRegionTrail"] and trail["IncludeGlobalServiceEvents"]):
        yield "AuditTrail: it should log the events of all regions, and those of no region"
    yield from faults_of_retention(resources)
    yield from monitoring.faults_of_alarms(resources, AUDIT["Name"])
    # "The role policy doesn't support the use of aws:SourceArn and aws:SourceAccount" (required policy for CloudWatch Logs).
    if "Condition" in json.dumps(resources["AuditLogsRole"]["Properties"]["AssumeRolePolicyDocument"]):
        yield "AuditLogsRole: CloudTrail assumes the role of its log group without the keys that a condition could ask for"


def known_to(template, values):
    return {name: value for name, value in values.items() if name in template["Parameters"]}


def faults_at_the_limits(largest):
    """Every list and text as long as it may be, in the partition with the longest name."""
    for mode in ("hardened", "guardrail", "base"):
        template = read("template.yaml")
        numbers = {name: str(one["MaxValue"]) for name, one in template["Parameters"].items() if "MaxValue" in one}
        values = known_to(template, FULL) | {"PolicyMode": mode} | EVERY_RULE | numbers
        resources = resolved(transformed(values), values, partition=LONGEST_PARTITION)["Resources"]
        yield from oversized(resources, largest)
        yield from overfull(resources)
    bootstrap = read("iam/bootstrap.yaml")
    resources = resolved(bootstrap, known_to(bootstrap, FULL), partition=LONGEST_PARTITION)["Resources"]
    yield from oversized(resources, largest)


def faults(largest):
    parameters = cloudformation.read("template.yaml")["Parameters"]
    groups = {"lists": [*unknown_lists(parameters), *faults_of_lists(parameters, LONGEST_ENTRY), *undocumented_limits()]}
    groups["texts"] = faults_of_texts(parameters)
    groups["template.yaml, one list of the limits"] = [*lone_limits(), *wrong_environment()]
    groups["template.yaml, the sweep"] = sweep.faults()
    groups |= {f"template.yaml, {name}": faults_of_values(values, largest) for name, values in PARAMETER_SETS.items()}
    groups["at the limits"] = faults_at_the_limits(largest)
    groups["iam/bootstrap.yaml"] = faults_of_bootstrap(parameters)
    groups["iam/audit.yaml"] = faults_of_audit()
    groups["monitoring.yaml"] = [*linted(read("monitoring.yaml"), MONITORING), *monitoring.faults()]
    where = {}
    for group, found in groups.items():
        for fault in found:
            where.setdefault(fault, []).append(group)
    # One fault is often one of all sets.
    more = {fault: f" and {len(places) - 1} more" if places[1:] else "" for fault, places in where.items()}
    return [f"{places[0]}{more[fault]}: {fault}" for fault, places in where.items()]


def main():
    largest = collections.Counter()
    found = faults(largest)
    for fault in found:
        print(fault)
    print(f"templates: {len(PARAMETER_SETS)} sets of values, {len(largest)} policies, {len(found)} faults; at the limits", end=" ")
    print(f"CMLWorkerManagementPolicy has {largest['CMLWorkerManagementPolicy']:,} of {MOST_OF_MANAGED:,} characters")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
