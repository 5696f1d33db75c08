"""One run: who runs it, where, under which names, and what it has come to know."""

import contextlib
import os
import secrets
from dataclasses import dataclass, field

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from claims import one_line

# On every stack and role of a run, and on what CloudFormation makes for them.
TAG = "smoke-run"


def session_in_region():
    # The CLI and the other SDKs know AWS_REGION; boto3 alone does not.
    session = boto3.Session(region_name=os.environ.get("AWS_REGION"))
    if not session.region_name:
        raise SystemExit("no region: set AWS_REGION, such as AWS_REGION=us-east-1")
    return session


@contextlib.contextmanager
def plain_errors(*kinds):
    """Ends the program with one line in the place of a traceback."""
    try:
        yield
    except NoCredentialsError:
        raise SystemExit("no credentials: give them as to the AWS CLI, such as AWS_PROFILE=<a profile>") from None
    except (BotoCoreError, ClientError, *kinds) as error:
        raise SystemExit(one_line(error)) from None


@dataclass
class Run:
    arguments: object
    session: boto3.Session
    caller: dict
    id: str = field(default_factory=lambda: secrets.token_hex(4))
    ledger: object = None
    claims: object = None
    # What earlier steps found for later ones.
    api: object = None
    template_url: str = ""
    # Whether SAM is given the values of parameters; None as long as that was not in doubt.
    values_reach_sam: bool | None = None
    callers: dict = field(default_factory=dict)
    outputs: dict = field(default_factory=dict)
    clients: dict = field(default_factory=dict)

    @property
    def account(self):
        return self.caller["Account"]

    @property
    def partition(self):
        return self.caller["Arn"].split(":")[1]

    @property
    def region(self):
        return self.session.region_name

    @property
    def stack(self):
        return self.arguments.stack

    @property
    def managed_by(self):
        """The ownership tag's value: no instance of anybody else has it."""
        return f"smoke-{self.stack}-{self.id}"

    @property
    def prefix(self):
        return f"smoke/{self.stack}-{self.id}"

    @property
    def tags(self):
        return [{"Key": TAG, "Value": self.id}]

    def client(self, service, region=None):
        key = (service, region or self.region)
        if key not in self.clients:
            # The SDK's own retries: new roles and policies are throttled and seen late.
            retries = Config(retries={"mode": "standard", "max_attempts": 8})
            self.clients[key] = self.session.client(service, region_name=key[1], config=retries)
        return self.clients[key]


def has_code(error, *codes):
    return isinstance(error, ClientError) and error.response["Error"]["Code"] in codes


def unless_absent(call, *codes, says="", **parameters):
    """The call's answer; nothing if what it is about does not exist."""
    try:
        return call(**parameters)
    except ClientError as error:
        if has_code(error, *codes) and says in error.response["Error"]["Message"]:
            return None
        raise
