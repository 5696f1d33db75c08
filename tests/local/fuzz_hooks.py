"""What Schemathesis has to know of this API: how to sign, which workers there are, and what makes a launch possible.

Generated ids are nobody's. So where a path was generated to be good it gets a worker of this run, and every other good
launch gets an image and a type that exist; the rest stays as generated, and what was generated to be bad stays bad.

Prints the answers of each operation, and fails the run if one of them never succeeded: then it was not tried.
"""

import atexit
import collections
import itertools
import json
import os
import socket
import sys
import urllib.parse

import botocore.session
import requests.auth
import schemathesis
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from schemathesis.core.parameters import ParameterLocation

with open(os.environ["STACK_FILE"]) as file:
    STACK = json.load(file)
REGION = STACK["region"]

look_up = socket.getaddrinfo
# Names under .localhost mean this machine (RFC 6761), which not every resolver knows.
socket.getaddrinfo = lambda host, *rest, **named: look_up("127.0.0.1" if str(host).endswith(".localhost") else host, *rest, **named)


class Signature(requests.auth.AuthBase):
    """Signs what is sent. The query is written as SigV4 wants it, sorted and percent-encoded: botocore and MiniStack sort
    repeated and empty names each in their own way."""

    def __init__(self):
        self.key = Credentials(STACK["access_key_id"], STACK["secret_access_key"])

    def __call__(self, request):
        address = urllib.parse.urlsplit(request.url)
        pairs = sorted(urllib.parse.parse_qsl(address.query, keep_blank_values=True, encoding="latin-1"))
        query = urllib.parse.urlencode(pairs, quote_via=urllib.parse.quote, safe="-_.~", encoding="latin-1")
        request.url = urllib.parse.urlunsplit(address._replace(query=query))
        headers = {"Content-Type": request.headers["Content-Type"]} if "Content-Type" in request.headers else {}
        to_sign = AWSRequest(request.method, request.url, headers, request.body)
        SigV4Auth(self.key, "execute-api", REGION).add_auth(to_sign)
        request.headers.update(to_sign.headers)
        return request


schemathesis.auth.set_from_requests(Signature())

ec2 = botocore.session.get_session().create_client(
    "ec2", REGION, endpoint_url=STACK["ec2_endpoint"],
    aws_access_key_id=STACK["root_access_key_id"], aws_secret_access_key=STACK["root_secret_access_key"],
)


def launch(tags):
    specification = [{"ResourceType": "instance", "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}]
    return ec2.run_instances(
        ImageId=STACK["image_id"], InstanceType="c5.2xlarge", MinCount=1, MaxCount=1, SubnetId=STACK["subnet_id"],
        TagSpecifications=specification,
    )["Instances"][0]["InstanceId"]


def ours():
    return launch({"ManagedBy": "cml-cloud-manager", "Name": "fuzzed"})


WORKERS = itertools.cycle([ours(), ours(), ours(), launch({"ManagedBy": "somebody-else"})])
EVERY_OTHER = itertools.cycle([True, False])
LISTS = ("get-all-instances", "get-ami-ids-by-name")
OF_OTHERS = ("next_token", "owner", "image_id")


@schemathesis.hook
def before_call(context, case, **_):
    negative = case.meta.is_negative_at if case.meta else lambda _: False
    path = case.path_parameters
    if path and negative(ParameterLocation.PATH):
        # MiniStack finds no permission for a path with a line break: its patterns do not match across one.
        case.path_parameters = {name: str(value).replace("%0A", "%09") for name, value in path.items()}
    query = case.query
    if query and not negative(ParameterLocation.QUERY) and "wait" in query:
        # OpenAPI has no words for parameters that exclude each other.
        query.pop("dry_run", None)
    operation = case.operation.definition.raw.get("operationId")
    if operation in LISTS and not negative(ParameterLocation.QUERY) and next(EVERY_OTHER):
        # A token is one that a page had, an owner one that is configured, and an image one that exists.
        case.query = {name: value for name, value in (query or {}).items() if name not in OF_OTHERS}
        if operation == "get-ami-ids-by-name":
            case.query["name"] = STACK["image_name"]
    if path and not negative(ParameterLocation.PATH):
        path["region"] = REGION
        if "instance_id" in path:
            # A termination uses its worker up, and so do tags by and by: there are 50 at most.
            method, route = case.operation.method.upper(), case.operation.path
            uses_up = method == "PATCH" or (method == "DELETE" and route.endswith("{instance_id}"))
            path["instance_id"] = ours() if uses_up else next(WORKERS)
    body = case.body
    if isinstance(body, dict) and not negative(ParameterLocation.BODY) and case.operation.method.upper() == "PATCH":
        # An instance has 50 tags at most, and these have two already.
        case.body = body = {**body, "tags": dict(itertools.islice(body["tags"].items(), 48))}
    if isinstance(body, dict) and not negative(ParameterLocation.BODY) and next(EVERY_OTHER):
        if operation == "create-instance":
            case.body = {"name": body["name"], "image_name": STACK["image_name"], "instance_type": "c5.2xlarge"}
        elif "instance_ids" in body:
            case.body = {**body, "instance_ids": [ours(), *body["instance_ids"]][:100]}


ANSWERS = collections.defaultdict(collections.Counter)


@schemathesis.hook
def after_call(context, case, response):
    ANSWERS[f"{case.operation.method.upper()} {case.operation.path}"][response.status_code] += 1


@atexit.register
def report():
    for call, statuses in sorted(ANSWERS.items()):
        print(f"{sum(statuses.values()):6} {call}: {dict(sorted(statuses.items()))}", file=sys.stderr)
    untried = [call for call, statuses in ANSWERS.items() if not any(200 <= status < 300 for status in statuses)]
    total = sum(sum(statuses.values()) for statuses in ANSWERS.values())
    print(f"fuzz: {total} calls of {len(ANSWERS)} operations, without success: {untried or 'none'}", file=sys.stderr)
    if untried:
        os._exit(1)
