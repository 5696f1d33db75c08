"""What is installed is what is asked for, and every file of it has a hash."""

import re

import pytest
from bill_of_materials import REPOSITORY


def read(name):
    return (REPOSITORY / "tests" / name).read_text(encoding="utf-8")


def pins(text):
    """`name==version` of each line, spelled as uv spells it, without extras."""
    found = re.findall(r"^([A-Za-z0-9._-]+)(?:\[[a-z0-9,-]+\])?==([^\s;\\]+)", text, re.MULTILINE)
    return {f"{re.sub('[-_.]+', '-', name).lower()}=={version}" for name, version in found}


def without_hash(text):
    """A line that ends a requirement, which began without a backslash, has no hash."""
    return [line for line in text.splitlines() if line and line[0] not in " #" and not line.endswith("\\")]


@pytest.mark.parametrize("name", ["requirements", "uv"])
def test_what_is_asked_for_is_installed_with_hashes(name):
    asked, compiled = read(f"{name}.in"), read(f"{name}.txt")
    assert pins(asked) and pins(asked) <= pins(compiled)
    assert without_hash(compiled) == []
    # Every line that asks for something asks for one version.
    assert len(pins(asked)) == sum(1 for line in asked.splitlines() if line and not line.startswith("#"))


def test_another_version_and_a_missing_hash_are_noticed():
    assert not pins("pytest==9.2.0") <= pins("pytest==9.2.1 \\\n    --hash=sha256:00\n")
    assert pins("moto[server,ec2]==5.2.5\nruamel.yaml==0.19.1") == pins(
        "moto==5.2.5 \\\nruamel-yaml==0.19.1 ; os_name == 'nt' \\"
    )
    assert without_hash("pytest==9.2.0\n") == ["pytest==9.2.0"]
