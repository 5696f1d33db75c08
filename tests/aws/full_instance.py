"""Writes shared/src/aws/needed_elements/full_instance.xml: DescribeInstances' answer with one instance that has every element of EC2's
service model, which botocore ships, and a value in each."""

import pathlib
import sys
from xml.sax.saxutils import escape

from service_models import operation

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
FIXTURE = REPOSITORY / "shared/src/aws/needed_elements/full_instance.xml"
# What must be a word of EC2's, because the answer shows more than the text.
WORDS = {"InstanceState.Name": "running", "Monitoring.State": "enabled"}
PLAIN = {"boolean": "true", "double": "1.5", "float": "1.5", "integer": "1", "long": "1", "timestamp": "2026-01-02T03:04:05.000Z"}


def element(name, shape, owner=""):
    """An element of this shape. A text is the name of its place in the model, so that no two are alike."""
    if shape.type_name == "structure":
        content = "".join(member_of(shape, member) for member in shape.members)
    elif shape.type_name == "list":
        content = element(shape.member.serialization.get("name", "item"), shape.member, name)
    elif shape.type_name == "string":
        content = WORDS.get(owner) or (shape.enum[0] if shape.enum else owner)
    else:
        content = PLAIN[shape.type_name]
    return f"\n<{name}>{content if '<' in content else escape(content)}</{name}>"


def member_of(shape, member):
    value = shape.members[member]
    return element(value.serialization.get("name", member), value, f"{shape.name}.{member}")


def document():
    """One reservation with one instance, and a token for the next page."""
    return f"<DescribeInstancesResponse>{''.join(member_of(output, member) for member in output.members)}\n</DescribeInstancesResponse>\n"


output = operation("DescribeInstances").output_shape

if __name__ == "__main__":
    FIXTURE.write_text(document(), encoding="utf-8")
    print(f"wrote {FIXTURE.relative_to(REPOSITORY)}", file=sys.stderr)
