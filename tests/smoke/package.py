"""The template and the code, uploaded by the command that every deployment uses."""

import subprocess
import sys
import tempfile
from pathlib import Path

from progress import say


class Failed(Exception):
    """The command's own last words."""


def upload(run):
    """Uploads below a prefix of this run's own; gives the URL of the packaged template."""
    say(f"uploading the code to s3://{run.arguments.bucket}/{run.prefix}/")
    run.ledger.made(run, "s3-prefix", f"{run.arguments.bucket}/{run.prefix}/")
    with tempfile.TemporaryDirectory() as folder:
        packaged = Path(folder, "packaged.yaml")
        package(run, packaged)
        key = f"{run.prefix}/packaged.yaml"
        s3 = run.client("s3")
        # Always by way of S3: CloudFormation takes at most 51,200 bytes of template in a request.
        s3.upload_file(str(packaged), run.arguments.bucket, key)
    return f"{s3.meta.endpoint_url}/{run.arguments.bucket}/{key}"


def package(run, packaged):
    command = [
        str(Path(sys.executable).with_name("aws")), "cloudformation", "package", "--region", run.region,
        "--template-file", str(run.arguments.template / "template.yaml"), "--output-template-file", str(packaged),
        "--s3-bucket", run.arguments.bucket, "--s3-prefix", run.prefix]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        raise Failed(" ".join(done.stderr.split()[-60:]) + " (make build makes what is uploaded)")
