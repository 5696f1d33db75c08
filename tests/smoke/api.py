"""The API as its callers reach it: signed HTTPS."""

import json
from dataclasses import dataclass
from urllib.parse import quote, urlencode, urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.httpsession import URLLib3Session
from botocore.utils import get_environ_proxies

PROBLEM = "application/problem+json"
# API Gateway puts it on every answer.
GATEWAY_MARK = "x-amz-apigw-id"
# API Gateway itself gives up after 29.
SECONDS = 40

INSTANCES = "/regions/{region}/instances"
# No instance has this id.
MISSING = "i-0ffffffffffffffff"


@dataclass(frozen=True)
class Answer:
    call: str
    status: int
    headers: dict
    text: str

    @property
    def json(self):
        """The document; an empty one where there is none, so that a missing member is simply missing."""
        try:
            document = json.loads(self.text)
        except json.JSONDecodeError:
            return {}
        return document if isinstance(document, dict) else {}

    @property
    def is_problem(self):
        return self.headers.get("content-type", "").startswith(PROBLEM)

    @property
    def code(self):
        return self.json.get("code") if self.is_problem else None

    def __str__(self):
        # Only our own words: API Gateway's default ones can quote the request, session token included.
        said = f" {self.code}: {self.json.get('detail')}" if self.is_problem else ""
        return f"{self.call} answered {self.status}{said}"


class Api:
    def __init__(self, run):
        self.region = run.region
        if endpoint := run.arguments.api_endpoint:
            self.url = endpoint.format(rest_api_id=run.outputs["RestApiId"]) + "/v1"
        else:
            self.url = run.outputs["ApiUrl"]

    def call(self, keys, method, path, query=(), body=None, headers=None):
        """`keys` sign; without any, the request is not signed."""
        data = None if body is None else json.dumps(body)
        url = self.url + path + ("?" + urlencode(sorted(query), quote_via=quote) if query else "")
        host = urlsplit(url).netloc
        request = AWSRequest(method, url, data=data, headers={"Host": host, **(headers or {})})
        if body is not None:
            request.headers["Content-Type"] = "application/json"
        if keys:
            SigV4Auth(keys, "execute-api", self.region).add_auth(request)
        return self.send(request.prepare(), f"{method} {path}")

    def send(self, prepared, call):
        prepared.url = reachable(prepared.url)
        # No retries: what is sent again, and what becomes of it, is what is observed.
        session = URLLib3Session(timeout=SECONDS, proxies=get_environ_proxies(prepared.url))
        answer = session.send(prepared)
        headers = {name.lower(): value for name, value in answer.headers.items()}
        return Answer(call, answer.status_code, headers, answer.text)


def reachable(url):
    """Names below .localhost are this machine, which not every resolver knows."""
    parts = urlsplit(url)
    if not (parts.hostname or "").endswith(".localhost"):
        return url
    port = f":{parts.port}" if parts.port else ""
    return parts._replace(netloc=f"127.0.0.1{port}").geturl()
