"""The program behind `make undeploy`: says what goes with a stack and what stays behind, and removes it if that is confirmed.

    .venv/bin/python tests/smoke/undeploy.py --stack NAME [--confirm ACCOUNT_ID]

Exit status: 0 if the stack is gone, 1 if it is not, 2 if nothing was done.
"""

import argparse
import collections
import sys
import time

from botocore.exceptions import BotoCoreError, ClientError
from samtranslator.yaml_helper import yaml_parse

import log_groups
import plan
import removal
import stacks
import workers
from claims import one_line
from ledger import Entry
from progress import say, tell
from run import Run, plain_errors, session_in_region, unless_absent


class Refused(Exception):
    """What stands in the way."""


def entry(run, kind, name, **details):
    return Entry(0, kind, name, run.region, run.account, "", time.time(), 0, details)


def resources_of(run, stack):
    pages = run.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=stack)
    # One that could not be made has no id.
    return [one for page in pages for one in page["StackResourceSummaries"]
            if one["ResourceStatus"] != "DELETE_COMPLETE" and one.get("PhysicalResourceId")]


class Deployed:
    """A stack with those inside it, and what belongs to it without being a part."""

    def __init__(self, run, stack):
        self.run, self.stack = run, entry(run, "stack", stack["StackName"], id=stack["StackId"])
        self.parameters = {one["ParameterKey"]: one["ParameterValue"] for one in stack["Parameters"]}
        self.stacks = [stack["StackId"], *stacks.nested(run, self.stack)]
        self.resources = [(one, resource) for one in self.stacks for resource in resources_of(run, one)]
        self.templates = {one: self.template_of(one) for one in self.stacks}

    def template_of(self, stack):
        answer = self.run.client("cloudformation").get_template(StackName=stack, TemplateStage="Processed")
        body = answer["TemplateBody"]
        # One that nothing transforms is given as it was written, which is YAML here.
        return (yaml_parse(body) if isinstance(body, str) else body)["Resources"]

    def physical_ids(self, kind):
        return [resource["PhysicalResourceId"] for _, resource in self.resources if resource["ResourceType"] == kind]

    def retained(self):
        """What the templates themselves keep, by type and name."""
        for stack, resource in self.resources:
            policy = self.templates[stack].get(resource["LogicalResourceId"], {}).get("DeletionPolicy", "Delete")
            if policy != "Delete":
                yield resource["ResourceType"], resource["PhysicalResourceId"]

    def code(self):
        """The buckets of the functions' code. Its objects are named by their content: another stack can have the same ones."""
        functions = [one for one in self.templates[self.stacks[0]].values() if one["Type"] == "AWS::Lambda::Function"]
        return sorted({function["Properties"]["Code"]["S3Bucket"] for function in functions})

    @property
    def regions(self):
        """Where workers are looked for. An earlier deployment may have allowed others."""
        return (self.parameters["AllowedRegions"] or self.run.region).split(",")

    def found(self):
        """The instances that are not terminated, by region; or why a region does not say, as one that is not switched on."""
        return {region: self.look(region) for region in self.regions}

    def look(self, region):
        try:
            return workers.alive(self.run, region)
        except (BotoCoreError, ClientError) as error:
            return one_line(error)

    def is_worker(self, instance):
        return {"Key": "ManagedBy", "Value": self.parameters["ManagedBy"]} in instance.get("Tags", [])

    def profiles(self):
        """Their names; MiniStack knows them by their ARNs."""
        return {name.rpartition("/")[2] for name in self.physical_ids("AWS::IAM::InstanceProfile")}

    def with_profile(self, found):
        """Instances that run programs with the role that would go, whatever their tags are; and where that is not known."""
        profiles = self.profiles()
        for region, instances in found.items():
            if isinstance(instances, str):
                yield (f"whether instances in {region} have the stack's instance profile is not known: {instances}; "
                       "let it be read, or take the region out of AllowedRegions")
                continue
            for instance in instances:
                if instance.get("IamInstanceProfile", {}).get("Arn", "").rpartition("/")[2] in profiles:
                    yield (f"instance {instance['InstanceId']} in {region} runs with the stack's instance profile: terminate it, "
                           "or give it another profile")

    def strangers(self):
        """Who else has a policy of the stack: IAM removes none that somebody has."""
        own = set(self.physical_ids("AWS::IAM::Role"))
        for policy in self.physical_ids("AWS::IAM::ManagedPolicy"):
            entities = self.of_iam("list_entities_for_policy", PolicyArn=policy)
            names = [("user", one["UserName"]) for one in entities.get("PolicyUsers", [])]
            names += [("group", one["GroupName"]) for one in entities.get("PolicyGroups", [])]
            names += [("role", one["RoleName"]) for one in entities.get("PolicyRoles", []) if one["RoleName"] not in own]
            yield from (f"the {kind} {name} has {policy}: detach it" for kind, name in names)

    def of_iam(self, operation, **about):
        """All that IAM lists; nothing about what somebody has removed by hand, which CloudFormation takes for removed, too."""
        pages = self.run.client("iam").get_paginator(operation).paginate(**about)
        return unless_absent(pages.build_full_result, "NoSuchEntity") or {}

    def roles(self):
        """The roles that would go, with the names of the policies that the template writes into them."""
        kept = {name for _, name in self.retained()}
        for stack, resource in self.resources:
            if resource["ResourceType"] == "AWS::IAM::Role" and resource["PhysicalResourceId"] not in kept:
                written = self.templates[stack][resource["LogicalResourceId"]]["Properties"].get("Policies", [])
                yield resource["PhysicalResourceId"], {policy.get("PolicyName") for policy in written}

    def given(self):
        """What others gave to a role of the stack, as some organizations do to every role: IAM deletes no such role."""
        policies = set(self.physical_ids("AWS::IAM::ManagedPolicy"))
        profiles = self.profiles()
        for role, written in self.roles():
            attached = self.of_iam("list_attached_role_policies", RoleName=role).get("AttachedPolicies", [])
            for arn in sorted({one["PolicyArn"] for one in attached} - policies):
                yield f"the role {role} has {arn}, which is not the stack's: detach it"
            for name in sorted(set(self.of_iam("list_role_policies", RoleName=role).get("PolicyNames", [])) - written):
                yield f"the role {role} has the inline policy {name}, which is not the stack's: delete it"
            holding = self.of_iam("list_instance_profiles_for_role", RoleName=role).get("InstanceProfiles", [])
            for name in sorted({one["InstanceProfileName"] for one in holding} - profiles):
                yield f"the role {role} is in the instance profile {name}, which is not the stack's: take it out"


def show(run, deployed, found):
    plan.show_account(run)
    counts = collections.Counter(resource["ResourceType"] for _, resource in deployed.resources)
    functions, groups = counts["AWS::Lambda::Function"], counts["AWS::Logs::LogGroup"]
    tell(f"The stack {run.stack} would go: {len(deployed.resources)} resources, with {functions} functions, the API, and "
         f"{groups} log groups with all their lines")
    tell("What stays behind:")
    for line in staying(deployed, found):
        tell(f"  {line}")


def staying(deployed, found):
    yield f"workers with the tag ManagedBy={deployed.parameters['ManagedBy']}, looked for in {', '.join(deployed.regions)} alone:"
    for region, instances in found.items():
        if isinstance(instances, str):
            yield f"  what there is in {region} is not known: {instances}"
            continue
        for instance in filter(deployed.is_worker, instances):
            yield (f"  worker {instance['InstanceId']} in {region}, {workers.state(instance)}: it goes on, with its volumes and tags, "
                   "and is charged for")
    for kind, name in deployed.retained():
        yield f"{kind} {name}: the template keeps it"
    for bucket in deployed.code():
        yield f"the code and the templates in s3://{bucket}, which other stacks may use"
    yield "what CloudWatch and X-Ray have recorded: metrics and traces, until they expire"


def refuse(deployed, found):
    """Looked at first, because CloudFormation would begin, and stop in the middle or break what runs."""
    if reasons := [*deployed.with_profile(found), *deployed.strangers(), *deployed.given()]:
        raise Refused("; ".join(reasons))


def remove(run, deployed):
    """Whether the stack is gone."""
    say(f"removing the stack {run.stack}")
    stacks.settle(run, deployed.stack)
    stacks.delete(run, deployed.stack, deployed.stack.details["id"])
    groups = [entry(run, "log-group", name) for name in log_groups.wanted(run.stack)]
    nested = [entry(run, "stack", name, id=name) for name in deployed.stacks[1:]]
    left = removal.left(run, [deployed.stack, *nested, *groups])
    for line in left:
        tell(f"  left: {line}")
    if not left:
        say(f"the stack {run.stack} is gone")
    return not left


def start():
    made = argparse.ArgumentParser(prog="tests/smoke/undeploy.py", description="Removes a stack that make deploy made.")
    made.add_argument("--stack", required=True, help="name of the stack")
    made.add_argument("--confirm", metavar="ACCOUNT_ID", help="the account that may be changed; without it nothing is")
    arguments = made.parse_args()
    session = session_in_region()
    return Run(arguments, session, session.client("sts").get_caller_identity())


def main():
    run = start()
    stack = stacks.describe(run, run.stack)
    if stack is None:
        raise SystemExit(f"there is no stack {run.stack} in {run.region}")
    if missing := {"AllowedRegions", "ManagedBy"} - {one["ParameterKey"] for one in stack.get("Parameters", [])}:
        raise SystemExit(f"{run.stack} is no stack of template.yaml: it has no parameter {' and '.join(sorted(missing))}")
    deployed = Deployed(run, stack)
    found = deployed.found()
    show(run, deployed, found)
    refuse(deployed, found)
    if run.arguments.confirm != run.account:
        plan.ask(run)
        return 2
    gone = remove(run, deployed)
    # Anew, for until the functions were gone somebody could launch one more.
    tell("Behind stay:")
    for line in staying(deployed, deployed.found()):
        tell(f"  {line}")
    return 0 if gone else 1


if __name__ == "__main__":
    with plain_errors(Refused):
        sys.exit(main())
