"""The answer by which the Rust tests see what of an instance is read has everything that EC2's model says."""

from full_instance import FIXTURE, document
from service_models import operation


def test_the_answer_is_what_the_model_says_today():
    assert FIXTURE.read_text(encoding="utf-8") == document(), "run `make tables`, and read what changed"


def test_each_member_of_an_instance_has_an_element():
    instance = operation("DescribeInstances").output_shape.members["Reservations"].member.members["Instances"].member
    names = {member.serialization["name"] for member in instance.members.values()}
    assert len(names) == len(instance.members) > 55
    assert not {name for name in names if f"<{name}>" not in document()}
