"""A change set that is never executed: what CloudFormation makes of the template, before anything is made of it."""

import json

import processed
import removal
from botocore.exceptions import ClientError, WaiterError
from claims import claim
from deployment import EVERYWHERE, PATIENCE, request
from progress import say
from run import has_code

ACCEPTED = claim("CloudFormation accepts the template, with SAM's transform and two source blocks, as a change set")
NAMES = claim("No name of the processed template is both a parameter and a resource")
CREDENTIALS = claim("No integration of the processed template calls a function with credentials")
SOURCES = claim("aws:SourceIp of the processed resource policy is a list of the two blocks")

CONTROL = {
    "AWSTemplateFormatVersion": "2010-09-09",
    "Transform": "AWS::Serverless-2016-10-31",
    "Parameters": {processed.SOURCES: {"Type": "String", "Default": "0.0.0.0/0"}},
    "Resources": {"Api": {"Type": "AWS::Serverless::Api", "Properties": {
        "StageName": "v1",
        "DefinitionBody": {"openapi": "3.0.1", "info": {"title": "control"}, "paths": {}},
        "Auth": {"ResourcePolicy": {"CustomStatements": [{
            "Effect": "Deny", "Principal": "*", "Action": "execute-api:Invoke", "Resource": "execute-api:/*",
            "Condition": {"NotIpAddress": {"aws:SourceIp": {"Fn::Split": [",", {"Ref": processed.SOURCES}]}}}}]}},
    }}},
}


def observe(run, template_url):
    say("looking at a change set")
    with run.claims.observing(ACCEPTED, NAMES, CREDENTIALS, SOURCES):
        try:
            template, changes = process(run, request(run, template_url))
        except (ClientError, WaiterError) as error:
            if not contradicts(error):
                raise
            run.claims.wrong(ACCEPTED, getattr(error, "last_response", {}).get("StatusReason") or error)
            return
        run.claims.seen(ACCEPTED, f"cloudformation:DescribeChangeSet listed {changes} resources to make")
        judge(run, template)


def judge(run, template):
    where = "cloudformation:GetTemplate, stage Processed"
    doubled, credentials = processed.doubled_names(template), processed.with_credentials(template)
    run.claims.judge(NAMES, not doubled, f"{where}: {doubled or 'none'}")
    count = len(processed.integrations(template))
    run.claims.judge(CREDENTIALS, count and not credentials, f"{where}: {credentials or f'none of {count}'}")
    judge_sources(run, template, where)


def judge_sources(run, template, where):
    values = processed.source_conditions(template)
    where = f"{where}: {json.dumps(values)}"
    if values and all(processed.is_default(value, template) for value in values) and not values_reach_sam(run):
        run.claims.not_seen(SOURCES, f"{where}; {NO_VALUES}")
        return
    run.claims.judge(SOURCES, values and all(processed.is_list_of(value, EVERYWHERE) for value in values), where)


NO_VALUES = ("this CloudFormation gives SAM no parameter values: of a template of a few lines, too, "
             "it makes one with the parameter's default")


def values_reach_sam(run):
    """Whether a parameter's value gets into a template that is surely right: a control for what ours shows."""
    if run.values_reach_sam is None:
        values = [{"ParameterKey": processed.SOURCES, "ParameterValue": ",".join(EVERYWHERE)}]
        template, _ = process(run, {
            "StackName": run.stack, "TemplateBody": json.dumps(CONTROL), "Parameters": values, "Tags": run.tags,
            "Capabilities": ["CAPABILITY_AUTO_EXPAND"]})
        conditions = processed.source_conditions(template)
        run.values_reach_sam = any(processed.is_list_of(value, EVERYWHERE) for value in conditions)
    return run.values_reach_sam


def process(run, parameters):
    """The processed template, and how many resources would be made. The change set and its empty stack go again."""
    cloudformation = run.client("cloudformation")
    stack = run.ledger.made(run, "stack", run.stack)
    entry = run.ledger.made(run, "change-set", f"smoke-{run.id}", stack=run.stack)
    try:
        answer = cloudformation.create_change_set(ChangeSetName=entry.name, ChangeSetType="CREATE", **parameters)
        run.ledger.know(stack, id=answer["StackId"])
        run.ledger.know(entry, id=answer["Id"])
        return read(cloudformation, answer["Id"])
    finally:
        removal.remove(run, entry)
        removal.remove(run, stack)


def read(cloudformation, change_set):
    waiter = cloudformation.get_waiter("change_set_create_complete")
    waiter.wait(ChangeSetName=change_set, WaiterConfig=PATIENCE)
    pages = cloudformation.get_paginator("describe_change_set").paginate(ChangeSetName=change_set)
    changes = sum(len(page["Changes"]) for page in pages)
    template = cloudformation.get_template(ChangeSetName=change_set, TemplateStage="Processed")["TemplateBody"]
    return json.loads(template) if isinstance(template, str) else template, changes


def contradicts(error):
    """Whether CloudFormation refused the template, and not us."""
    if isinstance(error, ClientError):
        return has_code(error, "ValidationError")
    return error.last_response.get("Status") == "FAILED"
