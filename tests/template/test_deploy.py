"""`make deploy`: what it would run; and samconfig.toml, so that `sam deploy` does the same."""

import functools
import os
import re
import shlex
import subprocess
import tomllib

import pytest

from cloudformation import REPOSITORY


@functools.cache
def recipe(*variables):
    make = ["make", "--dry-run", "--always-make", "--no-print-directory", "deploy", "STACK=a-stack", "BUCKET=a-bucket", *variables]
    # As if nothing had been said to the make that runs the tests.
    others = ("ARCHITECTURE", "AWS_DEFAULT_REGION", "AWS_REGION", "MAKEFLAGS", "PARAMETERS", "ZIG")
    own = {name: value for name, value in os.environ.items() if name not in others}
    made = subprocess.run(make, cwd=REPOSITORY, env=own, check=False, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    return made.stdout.replace("\\\n", " ").splitlines()


def commands(*variables):
    return [line for line in recipe(*variables) if re.search(" cloudformation (package|deploy) ", line)]


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
    for command in (package, deploy):
        assert values_of(command, "--s3-bucket") == ["$(cat target/deploy/a-stack/bucket)"]


def test_credentials_and_bucket_are_looked_at_before_the_long_build():
    lines = recipe()
    [bucket] = [number for number, line in enumerate(lines) if "code_bucket.py a-stack a-bucket > target/deploy/a-stack/bucket" in line]
    [build] = [number for number, line in enumerate(lines) if "cargo build --release" in line]
    assert bucket < build


@pytest.mark.parametrize(("variables", "architecture"), [((), "x86_64"), (("ARCHITECTURE=arm64",), "arm64")])
def test_the_stack_is_told_what_the_functions_are_built_for(variables, architecture):
    _, deploy = commands(*variables, "PARAMETERS=MaxWorkers=3")
    # The last one of a parameter's values holds.
    assert values_of(deploy, "--parameter-overrides") == ["MaxWorkers=3", f"Architecture={architecture}"]
    with pytest.raises(AssertionError, match="named as ARCHITECTURE=arm64, not in PARAMETERS"):
        recipe("PARAMETERS=MaxWorkers=3 Architecture=arm64")


def test_two_regions_have_files_of_their_own():
    first, second = (commands(f"AWS_REGION={region}")[1] for region in ("us-east-1", "eu-west-1"))
    assert values_of(first, "--template-file") == ["target/deploy/a-stack.us-east-1/packaged.yaml"]
    assert values_of(second, "--template-file") == ["target/deploy/a-stack.eu-west-1/packaged.yaml"]


# Options of `sam deploy` that were seen to work. The region and the keys are the caller's own.
OPTIONS = {
    "template_file", "stack_name", "resolve_s3", "capabilities", "parameter_overrides", "confirm_changeset", "fail_on_empty_changeset",
}


def differences(text):
    """Where `sam deploy` would not do what `make deploy` does. SAM reads [<environment>.<command>.parameters]."""
    config = tomllib.loads(text)
    options = config["default"]["deploy"]["parameters"]
    package, deploy = commands()
    if (config["version"], set(config), set(config["default"])) != (0.1, {"version", "default"}, {"deploy"}):
        yield "another environment, command or version"
    if set(options) != OPTIONS:
        yield f"options that were never seen to work, or are missing: {sorted(set(options) ^ OPTIONS)}"
    if [options.get("template_file")] != values_of(package, "--template-file"):
        yield "another template"
    if options.get("capabilities") != values_of(deploy, "--capabilities"):
        yield "other capabilities"
    if [options.get("parameter_overrides")] != values_of(deploy, "--parameter-overrides"):
        yield "another architecture"
    # `make deploy` uploads and asks nothing.
    is_content = "--no-fail-on-empty-changeset" in shlex.split(deploy)
    asked = [options.get(name) for name in ("resolve_s3", "confirm_changeset", "fail_on_empty_changeset")]
    if asked != [True, False, not is_content]:
        yield "another course"


SAMCONFIG = (REPOSITORY / "samconfig.toml").read_text(encoding="utf-8")


def test_sam_deploys_as_make_does():
    assert list(differences(SAMCONFIG)) == []


@pytest.mark.parametrize(("good", "bad", "said"), [
    ('template_file = "template.yaml"\n', "", "another template"),
    ('"CAPABILITY_NAMED_IAM"', '"CAPABILITY_IAM"', "other capabilities"),
    (', "CAPABILITY_AUTO_EXPAND"', "", "other capabilities"),
    ("confirm_changeset = false", "confirm_changeset = true", "another course"),
    ('"Architecture=x86_64"', '"Architecture=arm64"', "another architecture"),
    ("fail_on_empty_changeset = false", "fail_on_empty_changeset = true", "another course"),
    ('stack_name = "cml-workers"\n', 'stack_name = "cml-workers"\nregion = "us-east-1"\n', "never seen to work"),
    ("[default.deploy.parameters]", "[default.global.parameters]\nprofile = 'mine'\n\n[default.deploy.parameters]", "another environment"),
])
def test_another_deployment_is_noticed(good, bad, said):
    assert good in SAMCONFIG
    assert any(said in difference for difference in differences(SAMCONFIG.replace(good, bad, 1)))
