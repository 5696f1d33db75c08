"""Writes shared/src/model/nested_virtualization/families.rs: which families of instance types nest virtual machines, by what AWS says of them.

AWS says it twice. Its instance-type data, which moto ships as DescribeInstanceTypes answered it, has a feature for each type;
the service model of EC2, which botocore ships, has a sentence. They differ."""

import functools
import gzip
import json
import pathlib
import re
import sys

import moto.ec2

from service_models import documentation

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
TABLE = REPOSITORY / "shared/src/model/nested_virtualization/families.rs"
DATA = pathlib.Path(moto.ec2.__file__).parent / "resources/instance_types.json.gz"
FEATURE = "nested-virtualization"
NAMED = re.compile(r"instance types \(((?:[a-z0-9-]+, )+)and their flex variants\)")


@functools.cache
def instance_types():
    with gzip.open(DATA) as data:
        return json.load(data)


@functools.cache
def sentence():
    """What the service model says of the option."""
    sentences = re.split(r"(?<=\.) ", documentation("CpuOptionsRequest", "NestedVirtualization"))
    found = next((one for one in sentences if "supported only" in one), None)
    if not found:
        raise ValueError(f"the service model has another sentence, adapt this program to it: {sentences}")
    return found


def families(types):
    """Each family that has virtual types, and whether those have the feature. A family that is at odds with itself stops here."""
    found = {}
    for name, described in types.items():
        family, size = name.split(".")
        if described["BareMetal"] != size.startswith("metal"):
            raise ValueError(f"{name}: a metal type is told by its size, and this one is not")
        if not described["BareMetal"]:
            found.setdefault(family, set()).add(FEATURE in described["ProcessorInfo"].get("SupportedFeatures", []))
    at_odds = [family for family, features in found.items() if len(features) > 1]
    if at_odds:
        raise ValueError(f"some types of these families have the feature and some have not: {at_odds}")
    return {family: features.pop() for family, features in sorted(found.items())}


def named(text, known):
    """The families that the sentence names, and of their flex variants those that exist."""
    plain = NAMED.search(text)
    if not plain:
        raise ValueError(f"the sentence names families in another way: {text}")
    plain = [name for name in plain[1].split(", ") if name]
    return sorted(plain + [f"{name}-flex" for name in plain if f"{name}-flex" in known])


def table(types, text):
    known = families(types)
    lists = {
        ("NAMED", "Families that the sentence names."): named(text, known),
        ("WITH_FEATURE", f"Families whose virtual types have the feature `{FEATURE}`."): [f for f, has in known.items() if has],
        ("WITHOUT_FEATURE", "All other families that have virtual types."): [f for f, has in known.items() if not has],
    }
    lines = [
        "//! Which families nest virtual machines, by AWS's own words. `make tables` writes this file; a test compares it with them.",
        "",
        "/// EC2's service model, of `CpuOptionsRequest$NestedVirtualization`.",
        f'pub(super) const SENTENCE: &str = "{text}";',
    ]
    for (name, comment), members in lists.items():
        lines += ["", f"/// {comment}", "#[rustfmt::skip]", f"pub(super) const {name}: [&str; {len(members)}] = ["]
        rows = [members[start:start + 12] for start in range(0, len(members), 12)]
        lines += ["    " + " ".join(f'"{member}",' for member in row) for row in rows] + ["];"]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    TABLE.write_text(table(instance_types(), sentence()), encoding="utf-8")
    print(f"wrote {TABLE.relative_to(REPOSITORY)}", file=sys.stderr)
