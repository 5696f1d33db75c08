"""What is wrong with a request or an answer is noticed, whatever the protocol; what is right is not."""

import base64
import datetime
import json
import subprocess
import sys

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
    "'2026-01-01T00:00:00Z' is no timestamp but a str": cloudwatch(StartTime="2026-01-01T00:00:00Z"),
    "31 elements is not between": cloudwatch(Dimensions=[{"Name": "a", "Value": "b"}] * 31),
    "'60' is no integer but a str": cloudwatch(Period="60"),
    "5 is no string but a int": ssm({"Name": 5}),
    "1 is no boolean but a int": ssm({"Name": "/a", "WithDecryption": 1}),
    "Dimensions[0]: Value is required": cloudwatch(Dimensions=[{"Name": "InstanceId"}]),
}


@pytest.mark.parametrize("line", RIGHT)
def test_a_correct_request_has_no_fault(line):
    assert read_back.read_request(line) == []


@pytest.mark.parametrize("fault", WRONG)
def test_each_fault_of_a_request_is_told(fault):
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
    "'high' is no double but a str": answer("GetMetricStatistics", cbor2.dumps({"Datapoints": [{"Average": "high"}]})),
    "True is no double but a bool": answer("GetMetricStatistics", cbor2.dumps({"Datapoints": [{"Average": True}]})),
    "nan is no number": answer("GetMetricStatistics", cbor2.dumps({"Datapoints": [{"Average": float("nan")}]})),
    "LastModifiedDate: '2026-01-01' is no timestamp": answer("GetParameter", json.dumps({"Parameter": {"LastModifiedDate": "2026-01-01"}})),
    "StartInstanceResponse is no answer": answer("StartInstances", "<StartInstanceResponse/>"),
    "writes no error like this": answer("StartInstances", "<ErrorResponse><Error><Code>AuthFailure</Code></Error></ErrorResponse>", 401),
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
        answer("GetParameter", json.dumps({"Parameter": {"Name": "a", "Value": "b", "LastModifiedDate": 1767225600.5}})),
        error("UnauthorizedOperation"),
    ):
        assert read_back.read_answer(line)[1] == [], line


@pytest.mark.parametrize("fault", WRONG_ANSWERS)
def test_each_fault_of_an_answer_is_told(fault):
    found = read_back.read_answer(WRONG_ANSWERS[fault])[1]
    assert any(fault in one for one in found), found


@pytest.mark.parametrize("body", ["<html>", "", "<html></html>", "<StartInstancesResponse>", "<StartInstanceResponse/>"])
def test_an_unreadable_answer_is_a_fault_unless_the_test_intends_it(tmp_path, body):
    line = answer("StartInstances", body)
    assert read_back.read_answer(line | {"readable": False}) == ("answers that are meant to be unreadable", [])
    assert "first in a.jsonl:1" in printed(tmp_path, {"a.jsonl": [line]})


def printed(folder, files):
    """What a run over these files prints about faults; it must not be content."""
    for name, lines in files.items():
        (folder / name).write_text("".join(f"{line if isinstance(line, str) else json.dumps(line, ensure_ascii=False)}\n" for line in lines))
    run = subprocess.run([sys.executable, "-B", read_back.__file__, folder], capture_output=True, text=True)
    assert run.returncode == 1
    return run.stderr


@pytest.fixture
def nothing_missing(monkeypatch):
    monkeypatch.setattr(read_back, "missing", lambda read: [])


def test_a_run_is_content_only_if_no_file_has_a_fault(tmp_path, nothing_missing):
    def run(*files):
        for number, line in enumerate(files):
            (tmp_path / f"{number}.jsonl").write_text(json.dumps(line) + "\n")
        return read_back.main(tmp_path)

    assert run(RIGHT[0], error("UnauthorizedOperation")) == 0
    assert run(RIGHT[0], error("NoSuchThing")) == 1
    assert run(RIGHT[0], ec2("StartInstances")) == 1
    assert run(RIGHT[0], answer("StartInstances", "<<<")) == 1


def test_an_absent_kind_of_request_is_reported(tmp_path):
    assert "nothing to read: RunInstances requests" in printed(tmp_path, {"a.jsonl": [RIGHT[0]]})


def test_a_truncated_line_is_located_and_unicode_separators_end_no_line(tmp_path):
    tagged = ec2("DescribeInstances", Filter__1__Name="tag:a\x85b\u2028c", Filter__1__Value__1="d")
    assert "fault, 1 times, first in a.jsonl:2" in printed(tmp_path, {"a.jsonl": [tagged, '{"request": "Sta']})


def test_a_folder_without_journals_is_told(tmp_path):
    assert "CML_TEST_JOURNAL" in read_back.main(tmp_path)


def test_an_action_without_requests_is_missing():
    found = read_back.collections.Counter({f"{action} {what}": 1 for action in read_back.actions() for what in ("requests", "answers")})
    found.update(["ec2 errors", "cloudwatch errors", "ssm errors"])
    for _, shape, member, sentence, _, _ in read_back.forbidden.TABLE:
        read_back.forbidden.LOOKED_AT[shape, member, sentence] += 1
    assert read_back.missing(found) == [] and len(read_back.actions()) >= 13
    del found["RunInstances requests"], found["ssm errors"]
    assert read_back.missing(found) == ["RunInstances requests", "ssm errors"]
    read_back.forbidden.LOOKED_AT.clear()
    assert "requests about: Constraints: Maximum 64 ASCII characters" in read_back.missing(found)


def test_the_models_are_those_that_the_functions_speak():
    assert model("ec2").api_version == "2016-11-15"
