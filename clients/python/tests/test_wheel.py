"""The wheel, as its users get it: installed where nothing else is."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml
from conftest import REPOSITORY


@pytest.fixture(scope="module")
def wheel() -> Path:
    (path,) = (REPOSITORY / "target" / "client").glob("*.whl")
    return path


def test_it_is_typed_and_has_the_api_s_version(wheel: Path) -> None:
    version = yaml.safe_load((REPOSITORY / "openapi.yaml").read_text())["info"]["version"]
    assert wheel.name == f"cml_workers-{version}-py3-none-any.whl"
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {"cml_workers/py.typed", "cml_workers/_sync/workers.py", "cml_workers/api/client.py"} <= names
    assert not any("test" in name or "__pycache__" in name for name in names)


@pytest.mark.parametrize("also", [[], ["httpx==0.27.2"]])
def test_it_installs_in_an_empty_environment(wheel: Path, tmp_path: Path, also: list[str]) -> None:
    subprocess.run([sys.executable, "-m", "venv", tmp_path], check=True)
    install = ["install", "--quiet", "--disable-pip-version-check", str(wheel), *also]
    subprocess.run([tmp_path / "bin" / "pip", *install], check=True, cwd=tmp_path)
    listed = subprocess.run([tmp_path / "bin" / "pip", "list", "--format", "json"], check=True, capture_output=True, text=True)
    installed = {each["name"] for each in json.loads(listed.stdout)}
    assert "boto3" not in installed, "the environment is not empty"
    program = tmp_path / "bin" / "cml-workers"
    helped = subprocess.run([program, "--help"], check=True, capture_output=True, text=True, cwd=tmp_path)
    assert "adopt" in helped.stdout
    # A query that each version of httpx encodes in a way of its own.
    called = [str(program), "list", "--tag", "a=b c*+ü", "--tag", "a-b=c", "--json"]
    listed = subprocess.run(called, check=True, capture_output=True, text=True, cwd=tmp_path)
    assert json.loads(listed.stdout) == []
    imported = "import cml_workers; cml_workers.Workers('https://a.execute-api.eu-west-1.amazonaws.com/v1')"
    subprocess.run([tmp_path / "bin" / "python", "-c", imported], check=True, cwd=tmp_path)
