"""The templates as CloudFormation gets them: transformed by SAM with the values of the parameters, then resolved."""

import contextlib
import copy
import io
import json
import logging
import os
import pathlib

import cloud_radar.cf.unit
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

REPOSITORY = pathlib.Path(__file__).parents[2]
REGION = "us-east-1"
ACCOUNT_ID = "123456789012"

# What `aws cloudformation package` writes in the place of paths.
PACKAGE = "s3://cml-workers-code/0123456789abcdef"
NESTED = "https://s3.us-east-1.amazonaws.com/cml-workers-code/0123456789abcdef.template"

# SAM says at each transform that it has no feature toggles here; AWS's own SAM has them.
logging.getLogger("samtranslator").setLevel(logging.ERROR)


def read(name):
    """A template of the repository as it is written."""
    with open(REPOSITORY / name, encoding="utf-8") as file:
        return yaml_parse(file)


def packaged():
    """template.yaml with code and nested template uploaded."""
    template = read("template.yaml")
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["CodeUri"] = PACKAGE
        if resource["Type"] == "AWS::CloudFormation::Stack":
            resource["Properties"]["TemplateURL"] = NESTED
    return template


def transformed(values, template=None):
    """What SAM makes of template.yaml deployed with these parameters, as AWS runs it: with their values."""
    os.environ.setdefault("AWS_DEFAULT_REGION", REGION)
    template = packaged() if template is None else template
    document = Translator({}, Parser()).translate(sam_template=template, parameter_values=dict(values))
    # SAM builds the API from dictionaries of its own class; CloudFormation gets JSON.
    return json.loads(json.dumps(document))


def given(elements):
    """The elements but AWS::NoValue, which cloud-radar resolves to an empty text."""
    return [element for element in elements if element != ""]


def resolved(template, values, partition="aws"):
    """The template with its functions resolved and its conditions decided.

    Raises ValueError for a value that a parameter's constraints refuse.
    """
    # cloud-radar prints the address of each template that it reads.
    with contextlib.redirect_stdout(io.StringIO()):
        unit = cloud_radar.cf.unit.Template(copy.deepcopy(template))
        unit.Partition, unit.AccountId = partition, ACCOUNT_ID
        return unit.render(dict(values), region=REGION)
