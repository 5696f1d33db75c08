"""The cloud-init of iam/README.md, which installs the CloudWatch agent, is what cloud-init, sh and the agent can read."""

import json
import os
import pathlib
import re
import shutil
import subprocess

import pytest
import yaml

README = (pathlib.Path(__file__).resolve().parents[2] / "iam/README.md").read_text(encoding="utf-8")
USER_DATA = re.search(r"```yaml\n(#cloud-config\n.*?)```", README, re.DOTALL)[1]
FILES = {file["path"]: file["content"] for file in yaml.safe_load(USER_DATA)["write_files"]}
SCRIPT = FILES["/opt/cml/install-cloudwatch-agent.sh"]

# github.com/aws/amazon-cloudwatch-agent, plugins/processors/ec2tagger/config.go: SupportedAppendDimensions.
APPENDED = {name: f"${{aws:{name}}}" for name in ("AutoScalingGroupName", "ImageId", "InstanceId", "InstanceType")}


def test_the_user_data_is_as_small_as_ec2_takes_it():
    assert len(USER_DATA.encode()) <= 16384


def test_the_agent_appends_known_dimensions_and_starts_with_this_configuration():
    configuration = json.loads(FILES["/opt/cml/cloudwatch-agent.json"])
    assert configuration["metrics"]["append_dimensions"].items() <= APPENDED.items()
    # An agent that is started without a configuration applies its default one.
    assert SCRIPT.rstrip().endswith("-a fetch-config -m ec2 -s -c file:/opt/cml/cloudwatch-agent.json")


def test_the_script_is_run_and_sh_reads_it():
    assert yaml.safe_load(USER_DATA)["runcmd"] == ["/opt/cml/install-cloudwatch-agent.sh"]
    subprocess.run(["sh", "-n"], input=SCRIPT, text=True, check=True)


def test_the_signature_is_verified_with_the_aws_fingerprint_before_installation():
    # docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/verify-CloudWatch-Agent-Package-Signature.html
    fingerprint = "9376 16F3 450B 7D80 6CBD 9725 D581 6730 3B78 9C72".replace(" ", "")
    assert f"FINGERPRINT={fingerprint}\n" in SCRIPT
    steps = [SCRIPT.index(step) for step in ("set -eu", "--verify", "VALIDSIG .*$FINGERPRINT", "apt-get install")]
    assert steps == sorted(steps)


@pytest.mark.skipif(not shutil.which("gpg"), reason="there is no gpg here")
@pytest.mark.parametrize("signer, passes", [("good", True), ("evil", False)])
def test_only_a_signature_of_the_key_with_the_fingerprint_passes(tmp_path, signer, passes):
    def run(script, **more):
        environment = {"PATH": os.environ["PATH"], "GNUPGHOME": str(tmp_path)} | more
        return subprocess.run(["sh", "-euc", script], env=environment, cwd=tmp_path, capture_output=True, text=True)

    tmp_path.chmod(0o700)
    made = run("""
        for name in good evil; do
            gpg --batch --passphrase '' --quick-generate-key "$name" default default never
        done
        echo package > amazon-cloudwatch-agent.deb
        gpg --batch --local-user "$SIGNER" --detach-sign --output amazon-cloudwatch-agent.deb.sig amazon-cloudwatch-agent.deb
        gpg --batch --with-colons --fingerprint good | sed -n 's/^fpr:*\\([0-9A-F]*\\):$/\\1/p' | head -n 1
    """, SIGNER=signer)
    assert made.returncode == 0, made.stderr
    verify = re.search(r"^gpg --batch --status-fd 1.*\n.*$", SCRIPT, re.MULTILINE)[0]
    verified = run(verify, FINGERPRINT=made.stdout.strip())
    assert (verified.returncode == 0) is passes, verified.stderr
    run("gpgconf --kill gpg-agent")
