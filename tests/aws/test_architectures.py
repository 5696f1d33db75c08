"""Which types have Graviton processors, by the name of the family: the rule of shared/src/ops/health/self_test/probe.rs."""

import re

from instance_types import instance_types


def is_graviton(kind):
    family = kind.split(".")[0]
    behind = re.sub("^[^0-9]*[0-9]*", "", family)
    return family == "a1" or "g" in behind.split("-")[0]


def test_the_name_says_the_architecture_of_every_type():
    wrong = [
        kind for kind, described in instance_types().items()
        if is_graviton(kind) != ("arm64" in described["ProcessorInfo"]["SupportedArchitectures"])
    ]
    assert len(instance_types()) > 1_000 and not wrong, wrong


def test_without_a1_or_with_every_g_the_rule_would_be_wrong():
    kinds = instance_types()
    assert "a1.large" in kinds and "g5.xlarge" in kinds and "g5g.xlarge" in kinds
    assert not is_graviton("g5.xlarge") and is_graviton("g5g.xlarge") and is_graviton("a1.large")
