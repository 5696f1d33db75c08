"""`make deploy`: what it would run."""

import shlex
import subprocess

import pytest

from cloudformation import REPOSITORY


def commands(*variables):
    make = ["make", "--dry-run", "--always-make", "--no-print-directory", "deploy", "STACK=a-stack", "BUCKET=a-bucket", *variables]
    output = subprocess.run(make, cwd=REPOSITORY, check=True, capture_output=True, text=True).stdout
    return [line for line in output.replace("\\\n", " ").splitlines() if " cloudformation " in line]


def values_of(command, option):
    """The words behind an option, up to the next one."""
    words = shlex.split(command)
    values = []
    for word in words[words.index(option) + 1:]:
        if word.startswith("--"):
            break
        values.append(word)
    return values


def test_the_template_is_uploaded_because_cloudformation_takes_51_200_bytes_inline():
    """The packaged template is near that size, and `aws cloudformation deploy` without --s3-bucket refuses a longer one."""
    package, deploy = commands()
    assert "cloudformation package" in package and "--s3-bucket a-bucket" in package
    assert "cloudformation deploy" in deploy and "--s3-bucket a-bucket" in deploy


@pytest.mark.parametrize(("variables", "architecture"), [((), "x86_64"), (("ARCH=arm64",), "arm64")])
def test_the_stack_is_told_what_the_functions_are_built_for(variables, architecture):
    _, deploy = commands(*variables, "PARAMETERS=MaxWorkers=3")
    assert values_of(deploy, "--parameter-overrides") == [f"Architecture={architecture}", "MaxWorkers=3"]
