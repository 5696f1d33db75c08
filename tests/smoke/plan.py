"""What a run would do, where, as whom and for how much; printed before anything is done."""

import os
import shlex
import sys
import urllib.parse

import cost
import ledger
from deployment import parameters

STEPS = """\
 1  upload the built functions and the template to s3://{bucket}/{prefix}/
 2  make a change set of {stack}, look at what CloudFormation makes of the template, and remove it
 3  deploy the stack {stack}: {parameters};
    it changes API Gateway's logging role of {region}, which is put back
 4  make four IAM roles smoke-{stack}-…, and call the API as each
 5  launch one {instance_type} in {subnet_id}, and call all 13 operations; watch it for {minutes:g} minutes
 6  restrict the API to other addresses and back
 7  turn the audit on: a trail, a bucket, alarms
 8  remove all of it, and look for what is left"""


def is_aws(endpoint):
    host = urllib.parse.urlsplit(endpoint).hostname or ""
    return host.endswith((".amazonaws.com", ".amazonaws.com.cn", ".api.aws"))


def show_account(run):
    print(f"Account {run.account}, region {run.region}, as {run.caller['Arn']}", flush=True)
    # As the clients have it: an endpoint in the environment can be one that they are told to ignore.
    endpoints = sorted({run.client(service).meta.endpoint_url for service in ("cloudformation", "ec2", "iam", "sts")})
    if strange := [urllib.parse.urlsplit(one).netloc.rpartition("@")[2] for one in endpoints if not is_aws(one)]:
        print(f"Not AWS itself, but {', '.join(strange)}", flush=True)


def show(run, choice):
    show_account(run)
    if run.session.get_credentials().token:
        hours = (run.arguments.minutes + 2 * run.arguments.delivery_minutes + 30) / 60
        print(f"These keys are temporary: the run can take {hours:.1f} hours, and they must outlast it")
    values = ", ".join(f"{key}={value}" for key, value in parameters(run).items())
    print(STEPS.format(
        bucket=run.arguments.bucket, prefix=run.prefix, stack=run.stack, region=run.region, parameters=values,
        minutes=run.arguments.minutes, instance_type=choice.instance_type, subnet_id=choice.subnet_id))
    items = cost.estimate(choice.instance_type, run.arguments.minutes, bool(run.arguments.two_volume_image_id))
    print("\n".join(cost.lines(items)), flush=True)


def show_unfinished(path):
    """What --clean would remove."""
    waiting = ledger.read(path)
    print("To be removed, with what these left behind:" if waiting else f"{path.name} tells of nothing that is left")
    print("".join(f"  {entry}\n" for entry in waiting), end="", flush=True)


def ask(run):
    """How to go on; for whoever did not confirm."""
    words = list(sys.argv[1:])
    if (given := run.arguments.confirm) is not None:
        print(f"\n--confirm {given} is not this account: nothing was done.")
        at = next(index for index, word in enumerate(words) if word.split("=")[0] == "--confirm")
        del words[at:at + (1 if "=" in words[at] else 2)]
    else:
        print("\nNothing was done.")
    program = [os.path.relpath(sys.executable), os.path.relpath(sys.argv[0])]
    print(f"To go on, run the same make command with CONFIRM={run.account}, or:")
    print(f"  {shlex.join([*program, *words, '--confirm', run.account])}", flush=True)
