"""The checks of a processed template, on good ones and on the bad ones that each is for."""

import copy

import pytest
from processed import doubled_names, integrations, is_default, is_list_of, source_conditions, with_credentials

BLOCKS = ["0.0.0.0/1", "128.0.0.0/1"]
INTEGRATION = {"type": "aws_proxy", "httpMethod": "POST", "uri": {"Fn::Sub": "arn:aws:apigateway:…/invocations"}}


def template(sources, **more):
    deny = {"Effect": "Deny", "Condition": {"NotIpAddress": {"aws:SourceIp": sources}}}
    policy = {"Statement": [{"Effect": "Allow"}, {"Fn::If": ["SourcesRestricted", deny, {"Ref": "AWS::NoValue"}]}]}
    paths = {"/health": {"get": {"x-amazon-apigateway-integration": {**INTEGRATION, **more}}}}
    return {
        "Parameters": {"AllowedSourceCidrs": {"Type": "String", "Default": "0.0.0.0/0"}, "HealthSchedule": {}},
        "Resources": {
            "WorkerApi": {"Type": "AWS::ApiGateway::RestApi",
                          "Properties": {"Body": {"paths": paths, "x-amazon-apigateway-policy": policy}}},
            "HealthTimer": {"Type": "AWS::Events::Rule"}}}


def test_a_name_that_is_a_parameter_and_a_resource_is_found():
    good = template(BLOCKS)
    assert doubled_names(good) == []
    bad = copy.deepcopy(good)
    bad["Resources"]["HealthSchedule"] = {"Type": "AWS::Events::Rule"}
    assert doubled_names(bad) == ["HealthSchedule"]


@pytest.mark.parametrize("credentials", ["arn:aws:iam::*:user/*", {"Fn::Sub": "arn:${AWS::Partition}:iam::*:user/*"}])
def test_an_integration_with_credentials_is_found(credentials):
    assert list(integrations(template(BLOCKS))) == ["GET /health"]
    assert with_credentials(template(BLOCKS)) == []
    assert with_credentials(template(BLOCKS, credentials=credentials)) == ["GET /health"]


@pytest.mark.parametrize("sources", [
    BLOCKS, list(reversed(BLOCKS)), {"Fn::Split": [",", ",".join(BLOCKS)]},
    {"Fn::Split": [",", {"Ref": "AllowedSourceCidrs"}]},
])
def test_sources_that_yield_exactly_the_blocks_are_accepted(sources):
    [value] = source_conditions(template(sources))
    assert is_list_of(value, BLOCKS)


@pytest.mark.parametrize("sources", [
    ",".join(BLOCKS), [",".join(BLOCKS)], BLOCKS[:1], [*BLOCKS, "192.0.2.0/24"], {"Ref": "AllowedSourceCidrs"},
    {"Fn::Split": [",", "0.0.0.0/0"]}, {"Fn::Split": [";", ",".join(BLOCKS)]}, {"Fn::Split": [",", BLOCKS[0]]},
    [[*BLOCKS]], None,
])
def test_sources_that_yield_anything_but_the_blocks_are_refused(sources):
    [value] = source_conditions(template(sources))
    assert not is_list_of(value, BLOCKS)


def test_a_policy_without_a_source_condition_has_none():
    bare = template(BLOCKS)
    del bare["Resources"]["WorkerApi"]["Properties"]["Body"]["x-amazon-apigateway-policy"]
    assert source_conditions(bare) == []


@pytest.mark.parametrize(("sources", "expected"), [
    ({"Fn::Split": [",", "0.0.0.0/0"]}, True), (["0.0.0.0/0"], True), ("0.0.0.0/0", True), (BLOCKS, False),
    ({"Fn::Split": [",", {"Ref": "AllowedSourceCidrs"}]}, False),
])
def test_a_default_in_place_of_the_given_value_is_recognised(sources, expected):
    made = template(sources)
    assert is_default(source_conditions(made)[0], made) is expected
