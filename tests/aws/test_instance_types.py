"""The table of families that nest is what AWS's two sources say today."""

import copy

import pytest

from instance_types import FEATURE, TABLE, families, instance_types, named, sentence, table


def test_the_table_is_what_both_sources_say():
    assert TABLE.read_text(encoding="utf-8") == table(instance_types(), sentence()), "run `make tables`, and read what changed"


def test_a_feature_more_and_another_sentence_change_the_table():
    before = table(instance_types(), sentence())
    types = copy.deepcopy(instance_types())
    for name, described in types.items():
        if name.startswith("c6i.") and not described["BareMetal"]:
            described["ProcessorInfo"]["SupportedFeatures"] = [FEATURE]
    assert table(types, sentence()) != before
    assert table(instance_types(), sentence().replace("c8i, ", "c8i, c9i, ")) != before


def test_both_sources_say_something():
    known = families(instance_types())
    assert known["c7i"] and known["c8i"] and not known["c5"]
    assert named(sentence(), known) == ["c8i", "c8i-flex", "m8i", "m8i-flex", "r8i", "r8i-flex"]


def test_an_inconsistent_family_and_an_unreadable_sentence_are_errors():
    types = {name: copy.deepcopy(instance_types()[name]) for name in ("c8i.large", "c8i.xlarge")}
    del types["c8i.large"]["ProcessorInfo"]["SupportedFeatures"]
    with pytest.raises(ValueError, match="some types"):
        families(types)
    with pytest.raises(ValueError, match="another way"):
        named("Nested virtualization is supported on most types.", {})
