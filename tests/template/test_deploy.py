"""`make deploy`: what it would run."""

import subprocess

from cloudformation import REPOSITORY


def commands():
    make = ["make", "--dry-run", "--always-make", "--no-print-directory", "deploy", "STACK=a-stack", "BUCKET=a-bucket"]
    output = subprocess.run(make, cwd=REPOSITORY, check=True, capture_output=True, text=True).stdout
    return [line for line in output.replace("\\\n", " ").splitlines() if " cloudformation " in line]


def test_the_template_is_uploaded_because_cloudformation_takes_51_200_bytes_inline():
    """The packaged template is near that size, and `aws cloudformation deploy` without --s3-bucket refuses a longer one."""
    package, deploy = commands()
    assert "cloudformation package" in package and "--s3-bucket a-bucket" in package
    assert "cloudformation deploy" in deploy and "--s3-bucket a-bucket" in deploy
