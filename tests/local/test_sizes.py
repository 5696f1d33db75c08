import json
import os
import pathlib
import subprocess
import sys

import pytest
import sizes

SCRIPT = pathlib.Path(sizes.__file__)


@pytest.fixture
def binary(tmp_path):
    def make(content, name="start-instance"):
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return make


def run(*arguments):
    return subprocess.run([sys.executable, "-B", SCRIPT, *arguments], capture_output=True, text=True, check=False)


def test_a_package_is_deflated(binary):
    content = b"the same again " * 10_000
    size = sizes.sizes([binary(content)])["start-instance"]
    assert size["binary"] == len(content)
    assert 0 < size["zip"] < len(content) / 10


def test_a_binary_that_is_too_large_fails_the_run(binary):
    for name in ["start-instance", *sizes.LARGER]:
        bound = sizes.LARGER.get(name, sizes.BOUNDS)["binary"]
        answer = run(binary(b"\0" * (bound + 1), name))
        assert answer.returncode == 1
        assert answer.stderr.strip() == f"{name}: its binary has {bound + 1:,} bytes, {bound:,} at most"
        assert run(binary(b"\0" * bound, name)).returncode == 0


def test_a_package_has_its_operations_bound(tmp_path):
    package = tmp_path / "health/bootstrap"
    package.parent.mkdir()
    package.write_bytes(b"\0" * (sizes.BOUNDS["binary"] + 1))
    assert run(package).returncode == 0 and run(package).stdout.startswith("health ")


def test_a_package_that_is_too_large_fails_the_run(binary):
    # What cannot be compressed is as large as a package.
    answer = run(binary(os.urandom(sizes.BOUNDS["zip"] + 1)))
    assert answer.returncode == 1
    assert "start-instance: its zip has " in answer.stderr


def test_nothing_to_check_is_a_failure():
    assert run().returncode == 1


def test_a_binary_that_is_missing_is_a_failure(tmp_path):
    assert run(tmp_path / "health").returncode == 1


def test_the_sizes_are_also_json(binary):
    too_many = sizes.BOUNDS["binary"] + 1
    answer = run("--json", binary(b"\0" * too_many))
    assert json.loads(answer.stdout)["start-instance"]["binary"] == too_many
