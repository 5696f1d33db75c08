"""The bucket for the code, in an account that moto plays."""

import pathlib
import subprocess
import sys

import boto3
import moto
import pytest
import stacks
from botocore.exceptions import ClientError
from code_bucket import check_stack, code_bucket
from run import Run

ACCOUNT = "123456789012"
CALLER = {"Account": ACCOUNT}


@pytest.fixture(params=["us-east-1", "eu-west-1"])
def session(request, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    with moto.mock_aws():
        yield boto3.Session(region_name=request.param)


def buckets(session):
    return [bucket["Name"] for bucket in session.client("s3").list_buckets()["Buckets"]]


def create(session, bucket, region):
    where = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    session.client("s3", region).create_bucket(Bucket=bucket, **where)


def test_one_is_made_and_found_again(session):
    made = code_bucket(Run(None, session, CALLER), "")
    assert made == f"cml-workers-code-{ACCOUNT}-{session.region_name}" and buckets(session) == [made]
    assert session.client("s3").head_bucket(Bucket=made)["BucketRegion"] == session.region_name
    assert code_bucket(Run(None, session, CALLER), "") == made and buckets(session) == [made]


def test_one_that_is_named_must_be_there_and_is_not_made(session):
    with pytest.raises(SystemExit, match="there is no bucket mine: make it"):
        code_bucket(Run(None, session, CALLER), "mine")
    assert buckets(session) == []
    create(session, "mine", session.region_name)
    assert code_bucket(Run(None, session, CALLER), "mine") == "mine"


def test_one_in_another_region_is_refused(session):
    create(session, "far", "ap-south-1")
    with pytest.raises(SystemExit, match=f"far is in ap-south-1: Lambda takes code from a bucket in {session.region_name}"):
        code_bucket(Run(None, session, CALLER), "far")


@pytest.fixture
def forbidden(session, monkeypatch):
    """S3 answers 403, as to somebody else or if the owner is not the expected one; moto does neither. Gives what S3 is asked."""
    asked = []

    class S3:
        def head_bucket(self, **parameters):
            asked.append(parameters)
            headers = {"x-amz-bucket-region": session.region_name} if parameters["Bucket"] != "far" else {"x-amz-bucket-region": "ap-south-1"}
            answer = {"Error": {"Code": "403", "Message": "Forbidden"}, "ResponseMetadata": {"HTTPHeaders": headers}}
            raise ClientError(answer, "HeadBucket")

    monkeypatch.setattr(session, "client", lambda service, **_: S3())
    return asked


def test_a_bucket_of_that_name_that_is_somebody_elses_is_refused(session, forbidden):
    with pytest.raises(SystemExit, match="is not of the account 123456789012, or you lack"):
        code_bucket(Run(None, session, CALLER), "")
    assert forbidden == [{"Bucket": f"cml-workers-code-{ACCOUNT}-{session.region_name}", "ExpectedBucketOwner": ACCOUNT}]


def test_one_that_is_named_may_be_another_accounts(session, forbidden, capsys):
    """FunctionCode.S3Bucket: "The bucket can be in a different AWS account." """
    assert code_bucket(Run(None, session, CALLER), "theirs") == "theirs"
    assert forbidden == [{"Bucket": "theirs"}] and "you may not list the bucket theirs" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="far is in ap-south-1"):
        code_bucket(Run(None, session, CALLER), "far")


@pytest.mark.parametrize("code", ["BucketAlreadyOwnedByYou", "OperationAborted"])
def test_one_that_another_deployment_is_making_is_waited_for(session, code, monkeypatch):
    s3 = session.client("s3")
    create = s3.create_bucket

    def by_another(**parameters):
        create(**parameters)
        raise ClientError({"Error": {"Code": code, "Message": "A conflicting conditional operation is currently in progress"}}, "CreateBucket")

    monkeypatch.setattr(s3, "create_bucket", by_another)
    monkeypatch.setattr(session, "client", lambda service, **_: s3)
    made = code_bucket(Run(None, session, CALLER), "")
    assert buckets(session) == [made]


def test_a_stack_that_cannot_be_updated_is_refused(session, monkeypatch):
    states = iter(["ROLLBACK_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "CREATE_COMPLETE"])
    monkeypatch.setattr(stacks, "describe", lambda run, name: {"StackStatus": next(states)})
    with pytest.raises(SystemExit, match="the stack mine is ROLLBACK_COMPLETE, and can only be removed: make undeploy STACK=mine"):
        check_stack(Run(None, session, CALLER), "mine")
    check_stack(Run(None, session, CALLER), "mine")
    check_stack(Run(None, session, CALLER), "mine")


def test_a_stack_that_is_not_there_is_no_hindrance(session):
    check_stack(Run(None, session, CALLER), "mine")


@pytest.mark.parametrize("stack", ["a" * 30, "My_Stack", "a--b"])
def test_a_name_that_the_stack_cannot_have_is_refused_before_anything_else(stack):
    program = pathlib.Path(__file__).with_name("code_bucket.py")
    done = subprocess.run([sys.executable, "-B", program, stack], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and done.stderr.startswith("a stack's name here is a letter and up to 28"), done.stderr
