"""The command line, and what is chosen where it says nothing."""

from types import SimpleNamespace

import pytest
from arguments import REPOSITORY, parser
from choice import default_of, size
from deployment import parameters
from run import Run


def parse(*more):
    return parser().parse_args(["--stack", "cml-smoke", "--bucket", "code", *more])


def test_nothing_is_confirmed_unless_it_is_said():
    assert parse().confirm is None and parse().minutes == 20 and parse().poll_seconds == 60


@pytest.mark.parametrize(("more", "architecture"), [((), "x86_64"), (("--architecture", "arm64"), "arm64")])
def test_the_stack_is_told_what_the_functions_are_built_for(more, architecture):
    run = Run(parse(*more), SimpleNamespace(region_name="us-east-1"), {"Arn": "arn:aws:iam::123456789012:user/a"})
    assert parameters(run)["Architecture"] == architecture


@pytest.mark.parametrize("name", ["1st", "a_b", "a" * 30, "", "a-", "a--b"])
def test_a_stack_name_that_the_functions_cannot_have_is_refused(name):
    with pytest.raises(SystemExit):
        parser().parse_args(["--stack", name, "--bucket", "code"])


@pytest.mark.parametrize("flag", ["--minutes", "--poll-seconds"])
def test_time_does_not_run_backwards(flag):
    assert parse(flag, "0.05")
    with pytest.raises(SystemExit):
        parse(f"{flag}=-1")


def test_the_template_tells_which_types_are_allowed():
    assert "c5.*" in default_of(REPOSITORY, "AllowedInstanceTypes").split(",")


def test_the_smallest_type_has_fewest_cores_and_then_least_memory():
    def described(name, cores, memory):
        return {"InstanceType": name, "VCpuInfo": {"DefaultVCpus": cores}, "MemoryInfo": {"SizeInMiB": memory}}

    types = [described("m5.large", 2, 8192), described("c5.xlarge", 4, 8192), described("c6i.large", 2, 4096),
             described("c5.large", 2, 4096)]
    names = [one["InstanceType"] for one in sorted(types, key=size)]
    assert names == ["c5.large", "c6i.large", "m5.large", "c5.xlarge"]
