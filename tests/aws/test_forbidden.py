"""Each row of what AWS forbids quotes a sentence that is still in the service model, and holds against a request that breaks it."""

import pytest

import forbidden
from service_models import documentation, documented_filters


@pytest.mark.parametrize("row", forbidden.TABLE, ids=lambda row: f"{row[1]}.{row[2]}")
def test_the_sentence_is_still_in_the_service_model(row):
    _, shape, member, sentence, _, _ = row
    assert sentence in documentation(shape, member), "AWS says it otherwise: read it, and adapt the row of forbidden.py"


@pytest.mark.parametrize("row", forbidden.TABLE, ids=lambda row: f"{row[1]}.{row[2]}")
def test_a_request_that_breaks_the_row_is_noticed_by_it(row):
    action, _, _, sentence, _, _ = row
    for broken in forbidden.broken_by(row):
        assert any(fault.endswith(f": {sentence}") for fault in forbidden.faults(action, broken)), broken


def test_a_row_applies_only_to_its_member_and_volume_type():
    size = next(row for row in forbidden.TABLE if row[3].startswith("io2: 4"))
    assert forbidden.is_about(size, forbidden.with_volume(VolumeType="io2", VolumeSize=4))
    assert not forbidden.is_about(size, forbidden.with_volume(VolumeType="gp3", VolumeSize=4))
    token = next(row for row in forbidden.TABLE if row[2] == "ClientToken")
    assert forbidden.is_about(token, {"ClientToken": "t"}) and not forbidden.is_about(token, {"MaxCount": 1})


def test_a_filter_that_no_documentation_has_is_noticed():
    assert {"client-token", "instance-id", "tag:<key>"} <= documented_filters("DescribeInstances")
    filters = {"Filters": [{"Name": "tag:Lab", "Values": ["a"]}, {"Name": "instance-ids", "Values": ["i-1"]}]}
    assert forbidden.faults("DescribeInstances", filters) == ["no filter instance-ids"]
    assert forbidden.faults("DescribeRegions", {"Filters": [{"Name": "tag:Lab"}]}) == ["no filter tag:Lab"]
