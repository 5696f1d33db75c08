"""What is wrong with a request or an answer is noticed, whatever the protocol; what is right is not."""

import base64
import datetime
import json

import cbor2
import pytest

import read_back
from service_models import model

VERSION = {"Version": "2016-11-15"}
METRIC = {
    "Namespace": "AWS/EC2", "MetricName": "CPUUtilization", "Period": 60, "Statistics": ["Average"],
    "StartTime": datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC), "EndTime": datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC),
}


def ec2(action, **params):
    return {"request": action, "params": VERSION | {name.replace("__", "."): value for name, value in params.items()}, "body": ""}


def cloudwatch(**changes):
    document = {name: value for name, value in (METRIC | changes).items() if value is not None}
    return {"request": "GetMetricStatistics", "params": {}, "body": base64.b64encode(cbor2.dumps(document)).decode()}


def ssm(document):
    return {"request": "GetParameter", "params": {}, "body": base64.b64encode(json.dumps(document).encode()).decode()}


def answer(action, body, status=200):
    return {"answer": action, "status": status, "body": base64.b64encode((body if isinstance(body, bytes) else body.encode())).decode()}


def error(code):
    return answer("StartInstances", f"<Response><Errors><Error><Code>{code}</Code></Error></Errors></Response>", 400)


RIGHT = [
    ec2("StartInstances", InstanceId__1="i-1", InstanceId__2="i-2", DryRun="true"),
    ec2("DescribeInstances", Filter__1__Name="tag:a", Filter__1__Value__1="b", MaxResults="5"),
    ec2("RunInstances", MinCount="1", MaxCount="1", BlockDeviceMapping__1__Ebs__VolumeType="gp3"),
    cloudwatch(),
    cloudwatch(Dimensions=[{"Name": "InstanceId", "Value": "i-1"}]),
    ssm({"Name": "/cml/worker"}),
]

WRONG = {
    "Instances is no member of StartInstancesRequest": ec2("StartInstances", InstanceId__1="i-1", Instances="x"),
    "is no list, numbered from 1": ec2("StartInstances", InstanceId__1="i-1", InstanceId__3="i-2"),
    "is no list": ec2("StartInstances", InstanceId="i-1"),
    "InstanceIds is required": ec2("StartInstances"),
    "is neither true nor false": ec2("StartInstances", InstanceId__1="i-1", DryRun="yes"),
    "is no whole number": ec2("RunInstances", MinCount="one", MaxCount="1"),
    "has more than 32 bits": ec2("RunInstances", MinCount="2147483648", MaxCount="1"),
    "'gp4' is none of": ec2("RunInstances", MinCount="1", MaxCount="1", BlockDeviceMapping__1__Ebs__VolumeType="gp4"),
    "is of version 2014-10-01": {"request": "DescribeRegions", "params": {"Version": "2014-10-01"}, "body": ""},
    "You cannot specify this parameter and the instance IDs": ec2("DescribeInstances", InstanceId__1="i-1", MaxResults="5"),
    "no filter nonsense": ec2("DescribeInstances", Filter__1__Name="nonsense", Filter__1__Value__1="b"),
    "Metric is no member": cloudwatch(Metric="x"),
    "MetricName is required": cloudwatch(MetricName=None),
    "'Mean' is none of": cloudwatch(Statistics=["Mean"]),
    "0 characters is not between 1": cloudwatch(Namespace=""),
    "is not between 1 and": cloudwatch(Period=0),
    "'2026-01-01T00:00:00Z' is no timestamp, it is text": cloudwatch(StartTime="2026-01-01T00:00:00Z"),
    "31 elements is not between": cloudwatch(Dimensions=[{"Name": "a", "Value": "b"}] * 31),
    "'60' is no integer, it is text": cloudwatch(Period="60"),
    "5 is no text": ssm({"Name": 5}),
}


@pytest.mark.parametrize("line", RIGHT)
def test_what_is_right_has_no_fault(line):
    assert read_back.read_request(line) == []


@pytest.mark.parametrize("fault", WRONG)
def test_what_is_wrong_with_a_request_is_told(fault):
    assert any(fault in found for found in read_back.read_request(WRONG[fault])), read_back.read_request(WRONG[fault])


STARTED = "<StartInstancesResponse><requestId>1</requestId><instancesSet><item>{}</item></instancesSet></StartInstancesResponse>"
POINTS = {"Label": "a", "Datapoints": [{"Timestamp": METRIC["StartTime"], "Average": 1.0}]}

WRONG_ANSWERS = {
    "instanceName is no member": answer("StartInstances", STARTED.format("<instanceName>a</instanceName>")),
    "'sixteen' is no whole number": answer("StartInstances", STARTED.format("<currentState><code>sixteen</code></currentState>")),
    "'gone' is none of": answer("StartInstances", STARTED.format("<currentState><name>gone</name></currentState>")),
    "instanceId is there twice": answer("StartInstances", STARTED.format("<instanceId>i-1</instanceId><instanceId>i-2</instanceId>")),
    "member is no item": answer("StartInstances", STARTED.replace("item", "member").format("")),
    "done is no answer": answer("CreateTags", "<CreateTagsResponse><done>true</done></CreateTagsResponse>"),
    "Points is no member": answer("GetMetricStatistics", cbor2.dumps({"Points": []})),
    "'high' is no double, it is text": answer("GetMetricStatistics", cbor2.dumps({"Datapoints": [{"Average": "high"}]})),
    "Worth is no member": answer("GetParameter", json.dumps({"Parameter": {"Worth": "a"}})),
    "has no error code NoSuchThing": error("NoSuchThing"),
    "cloudwatch: has no error code InvalidAMIID.NotFound": answer(
        "GetMetricStatistics", cbor2.dumps({"__type": "com.amazonaws.cloudwatch#InvalidAMIID.NotFound"}), 400),
}


def test_answers_that_are_right_have_no_fault():
    for line in (
        answer(None, STARTED.format("<instanceId>i-1</instanceId><currentState><code>0</code><name>pending</name></currentState>")),
        answer("GetMetricStatistics", cbor2.dumps(POINTS)),
        answer("CreateTags", "<CreateTagsResponse><return>true</return></CreateTagsResponse>"),
        answer("GetParameter", json.dumps({"Parameter": {"Name": "a", "Value": "b"}})),
        error("UnauthorizedOperation"),
    ):
        assert read_back.read_answer(line)[1] == [], line


@pytest.mark.parametrize("fault", WRONG_ANSWERS)
def test_what_is_wrong_with_an_answer_is_told(fault):
    found = read_back.read_answer(WRONG_ANSWERS[fault])[1]
    assert any(fault in one for one in found), found


@pytest.mark.parametrize("body", ["<html>", "", "<html></html>", "<StartInstancesResponse>"])
def test_an_answer_that_is_none_is_no_fault_and_counted_apart(body):
    with pytest.raises(read_back.Nonsense):
        read_back.read_answer(answer("StartInstances", body))


def test_an_action_without_requests_is_missing():
    found = read_back.collections.Counter({f"{action} {what}": 1 for action in read_back.actions() for what in ("requests", "answers")})
    found.update(["ec2 errors", "cloudwatch errors", "ssm errors"])
    assert read_back.missing(found) == [] and len(read_back.actions()) >= 13
    del found["RunInstances requests"], found["ssm errors"]
    assert read_back.missing(found) == ["RunInstances requests", "ssm errors"]


def test_the_models_are_those_that_the_functions_speak():
    assert model("ec2").api_version == "2016-11-15"
