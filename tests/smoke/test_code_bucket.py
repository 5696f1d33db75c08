"""The bucket for the code, in an account that moto plays."""

import pathlib
import subprocess
import sys

import boto3
import moto
import pytest
from botocore.exceptions import ClientError
from code_bucket import code_bucket

ACCOUNT = "123456789012"


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
    made = code_bucket(session, "")
    assert made == f"cml-workers-code-{ACCOUNT}-{session.region_name}" and buckets(session) == [made]
    assert session.client("s3").head_bucket(Bucket=made)["BucketRegion"] == session.region_name
    assert code_bucket(session, "") == made and buckets(session) == [made]


def test_one_that_is_named_must_be_there_and_is_not_made(session):
    with pytest.raises(SystemExit, match="there is no bucket mine: make it"):
        code_bucket(session, "mine")
    assert buckets(session) == []
    create(session, "mine", session.region_name)
    assert code_bucket(session, "mine") == "mine"


def test_one_in_another_region_is_refused(session):
    create(session, "far", "ap-south-1")
    with pytest.raises(SystemExit, match=f"far is in ap-south-1: Lambda takes code from a bucket in {session.region_name}"):
        code_bucket(session, "far")


def test_a_bucket_of_that_name_that_is_somebody_elses_is_refused(session, monkeypatch):
    """S3 answers 403 if the owner is not the expected one; moto asks for no owner."""
    asked = []

    class S3:
        def head_bucket(self, **parameters):
            asked.append(parameters)
            raise ClientError({"Error": {"Code": "403", "Message": "Forbidden"}}, "HeadBucket")

    client = session.client
    monkeypatch.setattr(session, "client", lambda service: S3() if service == "s3" else client(service))
    with pytest.raises(SystemExit, match="is not of the account 123456789012, or you lack"):
        code_bucket(session, "")
    assert asked == [{"Bucket": f"cml-workers-code-{ACCOUNT}-{session.region_name}", "ExpectedBucketOwner": ACCOUNT}]


@pytest.mark.parametrize("stack", ["a" * 30, "My_Stack", "a--b"])
def test_a_name_that_the_stack_cannot_have_is_refused_before_anything_else(stack):
    program = pathlib.Path(__file__).with_name("code_bucket.py")
    done = subprocess.run([sys.executable, "-B", program, stack], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and done.stderr.startswith("a stack's name here is a letter and up to 28"), done.stderr
