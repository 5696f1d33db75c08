"""What the build makes before it packs the wheel: the API layer from openapi.yaml, and the synchronous client."""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import unasync
from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from ruamel.yaml import YAML

# The words of the asynchronous client that are others in the synchronous one.
WORDS = {
    "AsyncRetrying": "Retrying",
    "AsyncWorkers": "Workers",
    "Awaitable": "Union",  # of one type, which is that type
    "aclose": "close",
    "anyio": "time",
    "aread": "read",
    "asyncio_detailed": "sync_detailed",
    "get_async_httpx_client": "get_httpx_client",
}

# Enumerations of answers: a later version of the API may have a value more, which must not cost the whole answer.
OPEN = ["Cause", "Code", "CredentialsKind", "DeniedBy", "HealthStatus", "Verdict"]


class CustomBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """Makes `cml_workers.api` and `cml_workers._sync`."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Writes both beside the code that is written by hand."""
        root = Path(self.root)
        package = root / "src" / "cml_workers"
        document = YAML(typ="safe").load(root.parents[1] / "openapi.yaml")
        for name in OPEN:
            del document["components"]["schemas"][name]["enum"]
        generate(document, root / "generator.yaml", package / "api")
        synchronous(package)


def generate(document: dict[str, Any], config: Path, package: Path) -> None:
    """Writes the API layer anew. A warning is an error: with it the generator leaves something out."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "openapi.yaml"
        YAML(typ="safe").dump(document, path)
        generator = [sys.executable, "-m", "openapi_python_client", "generate", "--meta", "none", "--fail-on-warning"]
        files = ["--path", str(path), "--config", str(config), "--output-path", str(package), "--overwrite"]
        subprocess.run([*generator, *files], check=True)  # noqa: S603 the arguments are ours


def synchronous(package: Path) -> None:
    """Writes the synchronous client: the asynchronous one without its words for waiting."""
    shutil.rmtree(package / "_sync", ignore_errors=True)
    rule = unasync.Rule("/_async/", "/_sync/", additional_replacements=WORDS)
    unasync.unasync_files([str(path) for path in (package / "_async").glob("*.py")], [rule])
