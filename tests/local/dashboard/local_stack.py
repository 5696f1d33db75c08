"""The local AWS with the deployment: started as `make run` does, or one that runs already; and calls of it."""

import datetime
import functools
import http.client
import json
import os
import signal
import subprocess
import urllib.parse

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

STACK_NAME = "cml-workers"


class Started:
    """`target/debug/local` until `end`."""

    def __init__(self, repository, stack_file):
        # Told by the variable that it has a parent, it ends when we do, however that is.
        environment = {**os.environ, "STACK_FILE": str(stack_file), "MAKELEVEL": os.environ.get("MAKELEVEL", "1")}
        self.program = subprocess.Popen(
            [repository / "target/debug/local"], env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        for line in self.program.stdout:
            if line.strip() == "ready":
                return
            # Not the curl lines: they are for somebody who calls it.
            if line.strip() and not line.startswith(("curl", "The API")):
                print(line.strip(), flush=True)
        raise SystemExit(f"the local AWS ended with {self.program.wait()} before it was ready")

    def end(self):
        self.program.send_signal(signal.SIGINT)
        self.program.wait()


class LocalStack:
    """What `stack.json` says how to reach."""

    def __init__(self, stack_file):
        self.info = json.loads(stack_file.read_text(encoding="utf-8"))
        self.region = self.info["region"]
        self.rest_api_id = self.info["rest_api_id"]

    @functools.cache
    def client(self, service, region=None):
        endpoint = self.info["ec2_endpoint" if service == "ec2" else "cloudwatch_endpoint"]
        return boto3.client(
            service, region_name=region or self.region, endpoint_url=endpoint,
            aws_access_key_id=self.info["root_access_key_id"], aws_secret_access_key=self.info["root_secret_access_key"])

    def ec2(self, region=None):
        return self.client("ec2", region)

    def parameters(self):
        [stack] = self.client("cloudformation").describe_stacks(StackName=STACK_NAME)["Stacks"]
        return {parameter["ParameterKey"]: parameter["ParameterValue"] for parameter in stack["Parameters"]}

    def regions(self):
        return [region for region in self.parameters()["AllowedRegions"].split(",") if region] or [self.region]

    def set_parameters(self, values):
        """Updates the stack; what is not named keeps its value."""
        known = self.parameters()
        unknown = set(values) - set(known)
        if unknown:
            raise SystemExit(f"template.yaml has no parameter {', '.join(sorted(unknown))}")
        if all(known[name] == value for name, value in values.items()):
            return
        cloudformation = self.client("cloudformation")
        cloudformation.update_stack(
            StackName=STACK_NAME, UsePreviousTemplate=True, Capabilities=["CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"],
            Parameters=[
                {"ParameterKey": name, **({"ParameterValue": values[name]} if name in values else {"UsePreviousValue": True})}
                for name in known
            ])
        cloudformation.get_waiter("stack_update_complete").wait(StackName=STACK_NAME, WaiterConfig={"Delay": 1})

    def call(self, method, path, body=None, signed=True):
        """A call of the API as a caller makes it: its status and its answer."""
        host = f"{self.info['host']}:{self.info['port']}"
        path = urllib.parse.quote(f"/{self.info['stage']}{path}", safe="/?=&-_.~")
        text = json.dumps(body) if body is not None else None
        request = AWSRequest(method, f"http://{host}{path}", {"Host": host}, text)
        if signed:
            key = Credentials(self.info["access_key_id"], self.info["secret_access_key"])
            SigV4Auth(key, "execute-api", self.region).add_auth(request)
        connection = http.client.HTTPConnection("127.0.0.1", self.info["port"], timeout=60)
        connection.request(method, path, text, dict(request.headers))
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer.status, json.loads(content or b"null")

    def sweep(self):
        function = f"{STACK_NAME}-sweep-workers"
        event = {"detail-type": "Scheduled Event", "source": "aws.events", "detail": {}}
        answer = self.client("lambda").invoke(FunctionName=function, Payload=json.dumps(event))
        return json.loads(answer["Payload"].read())

    def messages(self, operation):
        """All log lines of a function, oldest first."""
        pages = self.client("logs").get_paginator("filter_log_events").paginate(logGroupName=f"/aws/lambda/{STACK_NAME}-{operation}")
        return [event["message"] for page in pages for event in page["events"]]


def now():
    return datetime.datetime.now(datetime.timezone.utc)
