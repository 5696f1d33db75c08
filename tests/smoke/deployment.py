"""The stack: made, updated, and what it says of itself."""

from botocore.exceptions import ClientError, WaiterError

import logging_role
import stacks
from claims import claim, one_line
from progress import say
from run import has_code

DEPLOYS = claim("CloudFormation makes the whole stack of template.yaml in the mode hardened, with a name suffix")

# Together every IPv4 address: the restriction is really deployed, and lets us in.
EVERYWHERE = ["0.0.0.0/1", "128.0.0.0/1"]
CAPABILITIES = ["CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"]
# Half an hour.
PATIENCE = {"Delay": 3, "MaxAttempts": 600}


class Failed(Exception):
    """CloudFormation gave up; its reasons."""


def parameters(run):
    images = f"arn:{run.partition}:ssm:{run.region}::parameter/aws/service/ami-amazon-linux-latest/*"
    values = {
        "Architecture": run.arguments.architecture,
        "PolicyMode": "hardened", "NameSuffix": f"-{run.id}", "ManagedBy": run.managed_by, "ImageOwners": "amazon",
        "ImageParameterArns": images, "AllowedSourceCidrs": ",".join(EVERYWHERE), "HealthSchedule": "rate(1 minute)",
        # A sweep would write tags while the run compares a worker's.
        "SweepSchedule": "rate(1 day)", "Audit": "false", "Monitoring": "true",
    }
    if run.arguments.instance_types:
        values["AllowedInstanceTypes"] = run.arguments.instance_types
    return values


def request(run, template_url):
    return {
        "StackName": run.stack, "TemplateURL": template_url, "Capabilities": CAPABILITIES, "Tags": run.tags,
        "Parameters": [{"ParameterKey": key, "ParameterValue": value} for key, value in parameters(run).items()]}


def create(run, template_url):
    say(f"deploying the stack {run.stack}")
    run.template_url = template_url
    entry = run.ledger.made(run, "stack", run.stack)
    logging_role.remember(run)
    try:
        # With the token a repetition by the SDK is the same creation, and no second one that finds the name taken.
        answer = run.client("cloudformation").create_stack(ClientRequestToken=run.id, **request(run, template_url))
    except ClientError as error:
        # Refused: nothing was made. Any other error can be that of a repetition whose first sending was carried out, so the
        # entry stays: its removal asks for the run's tag, which somebody else's stack of this name does not have.
        if has_code(error, "ValidationError"):
            run.ledger.gone(entry)
            run.claims.wrong(DEPLOYS, one_line(error))
        raise
    run.ledger.know(entry, id=answer["StackId"])
    try:
        wait(run, "stack_create_complete", answer["StackId"])
    except Failed as error:
        run.claims.wrong(DEPLOYS, one_line(error))
        raise
    run.outputs |= outputs(stacks.describe(run, run.stack))
    run.claims.seen(DEPLOYS, "cloudformation:DescribeStacks said CREATE_COMPLETE")


def update(run, **changed):
    """Changes these parameters and no others."""
    say("updating the stack: " + ", ".join(f"{key}={value}" for key, value in changed.items()))
    stack = stacks.describe(run, run.stack)
    kept = [one["ParameterKey"] for one in stack["Parameters"] if one["ParameterKey"] not in changed]
    values = [{"ParameterKey": key, "ParameterValue": value} for key, value in changed.items()]
    values += [{"ParameterKey": key, "UsePreviousValue": True} for key in kept]
    # Not UsePreviousTemplate: SAM has written values into the processed one, so that it must transform the template anew.
    run.client("cloudformation").update_stack(
        StackName=run.stack, TemplateURL=run.template_url, Capabilities=CAPABILITIES, Parameters=values)
    wait(run, "stack_update_complete", stack["StackId"])
    run.outputs |= outputs(stacks.describe(run, run.stack))


def wait(run, waiter, stack_id):
    try:
        run.client("cloudformation").get_waiter(waiter).wait(StackName=stack_id, WaiterConfig=PATIENCE)
    except WaiterError:
        failures = stacks.failures(run, stack_id)
        for failure in failures:
            say(f"  {failure}")
        raise Failed("; ".join(failures) or "CloudFormation did not say why") from None


def outputs(stack):
    return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}
