"""Signs each call with AWS Signature Version 4, as botocore does, with the credentials that it finds."""

import os
import re
from collections.abc import AsyncIterator, Iterator
from threading import Lock

import anyio.to_thread
import httpx
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials, ReadOnlyCredentials
from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import Session

from cml_workers.problems import CredentialsError

SERVICE = "execute-api"


def check_url(api_url: str) -> None:
    """Raises for what cannot be the address of an API."""
    try:
        url = httpx.URL(api_url)
    except httpx.InvalidURL as error:
        raise ValueError(f"this is no URL: {error}") from error
    if url.scheme not in {"http", "https"} or not url.host or url.userinfo:
        raise ValueError("the URL of an API begins with https:// and a host, and has no user")


def configured_region(session: Session) -> str | None:
    """The region that the environment or the profile names."""
    # botocore knows AWS_DEFAULT_REGION, but not the variable that AWS's other SDKs read.
    region: str | None = os.environ.get("AWS_REGION") or session.get_config_variable("region")
    return region


def signing_region(api_url: str, session: Session) -> str:
    """The region in the host that API Gateway gave; behind a domain of one's own, the one that AWS's settings name."""
    named = re.search(r"\.execute-api\.([a-z0-9-]+)\.(amazonaws|api\.aws)", httpx.URL(api_url).host)
    try:
        region = named.group(1) if named else configured_region(session)
        if region and not session.get_config_variable("region"):
            # A profile with a role asks STS for it, in this region.
            session.set_config_variable("region", region)
    except BotoCoreError as error:
        raise CredentialsError(str(error)) from error
    if not region:
        raise CredentialsError(f"the API's region is not in {api_url}: set AWS_REGION to it")
    return region


class Signing(httpx.Auth):
    """Asks for the credentials at each call: botocore renews those that expire, whichever source they are from."""

    def __init__(self, region: str, session: Session) -> None:
        self.region = region
        self._session = session
        self._lock = Lock()
        self._load = session.get_credentials
        self._source: Credentials | None = None

    def _credentials(self) -> ReadOnlyCredentials:
        try:
            with self._lock:
                source = self._source = self._source or self._load()
            credentials = source and source.get_frozen_credentials()
        except (BotoCoreError, ClientError, OSError, RuntimeError, ValueError) as error:
            # A source may be a file, a program or another service.
            raise CredentialsError(f"there are no AWS credentials to sign with: {error}") from error
        if not credentials:
            raise CredentialsError(
                "there are no AWS credentials: name a profile with AWS_PROFILE, or log in with `aws sso login`"
            )
        return credentials

    def forget(self) -> bool:
        """Looks for credentials anew at the next call, as others may be in a file by then. Those that were given stay."""
        with self._lock:
            if self._source and self._source.method == "explicit":
                return False
            self._load = self._session.get_component("credential_provider").load_credentials
            self._source = None
        return True

    def sign(self, request: httpx.Request) -> None:
        """Adds the signature, and writes the query as AWS reads it."""
        # To AWS a space is `%20`, and a plus sign is itself.
        url = request.url.copy_with(query=request.url.query.replace(b"+", b"%20") or None)
        body = {name: request.headers[name] for name in ("Content-Type", "Idempotency-Key") if name in request.headers}
        address = f"{url.scheme}://{request.headers['Host']}{url.raw_path.decode()}"
        signed = AWSRequest(request.method, address, data=request.content, headers=body)
        SigV4Auth(self._credentials(), SERVICE, self.region).add_auth(signed)
        request.headers.update(signed.headers.items())
        # RFC 6761, 6.3: such a name is this machine, whether or not the resolver knows it.
        request.url = url.copy_with(host="127.0.0.1") if url.host.endswith(".localhost") else url

    def sync_auth_flow(self, request: httpx.Request) -> Iterator[httpx.Request]:  # type: ignore[override]
        """Signs a call of the synchronous client."""
        self.sign(request)
        yield request

    async def async_auth_flow(self, request: httpx.Request) -> AsyncIterator[httpx.Request]:  # type: ignore[override]
        """Signs a call of the asynchronous client: botocore may have to ask another machine for the credentials."""
        await anyio.to_thread.run_sync(self.sign, request)
        yield request
