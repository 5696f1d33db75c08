"""Prints the S3 bucket that `make deploy` uploads the code to. Without a name it is one of this account, made when it is first needed.

    .venv/bin/python tests/smoke/code_bucket.py STACK [BUCKET]

A name that the stack cannot have is refused, too, and a stack that cannot be updated: CloudFormation would do so after the long build.
"""

import argparse
import sys
from types import SimpleNamespace

from botocore.exceptions import ClientError

import stacks
from arguments import stack_name
from run import has_code, plain_errors, session_in_region


def region_of(s3, bucket, **owner):
    """Nothing if there is none."""
    try:
        answer = s3.head_bucket(Bucket=bucket, **owner)
    except ClientError as error:
        if has_code(error, "404"):
            return None
        # S3 names the region of a bucket also to those who may not read it.
        region = error.response["ResponseMetadata"].get("HTTPHeaders", {}).get("x-amz-bucket-region")
        if has_code(error, "403") and owner:
            raise SystemExit(f"the bucket {bucket} is not of the account {owner['ExpectedBucketOwner']}, or you lack s3:ListBucket on it: "
                             "name another one, BUCKET=<name>") from None
        if has_code(error, "403") and region:
            print(f"you may not list the bucket {bucket}: whether you may write to it, the upload will show", file=sys.stderr)
            return region
        raise
    return answer.get("BucketRegion", s3.meta.region_name)


def make(s3, bucket, account, region):
    # S3 takes no constraint to its first region.
    where = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    try:
        s3.create_bucket(Bucket=bucket, **where)
    except ClientError as error:
        # Another deployment has made it, or is at it.
        if not has_code(error, "BucketAlreadyOwnedByYou", "OperationAborted"):
            raise
    s3.get_waiter("bucket_exists").wait(Bucket=bucket, ExpectedBucketOwner=account)


def code_bucket(session, named):
    s3 = session.client("s3")
    return named_bucket(s3, named) if named else own_bucket(session, s3)


def named_bucket(s3, bucket):
    """Whoever names one trusts its owner, which may be another account."""
    where = region_of(s3, bucket)
    if where is None:
        raise SystemExit(f"there is no bucket {bucket}: make it, or let make deploy make one, without BUCKET")
    return in_region(s3, bucket, where)


def own_bucket(session, s3):
    """Names are the whole world's: whoever made one of ours before us could exchange the code."""
    account = session.client("sts").get_caller_identity()["Account"]
    bucket = f"cml-workers-code-{account}-{session.region_name}"
    where = region_of(s3, bucket, ExpectedBucketOwner=account)
    if where is None:
        make(s3, bucket, account, session.region_name)
        return bucket
    return in_region(s3, bucket, where)


def in_region(s3, bucket, where):
    if where != s3.meta.region_name:
        raise SystemExit(f"the bucket {bucket} is in {where}: Lambda takes code from a bucket in {s3.meta.region_name}")
    return bucket


# CloudFormation updates no stack in these states.
DEAD_STATES = ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "DELETE_FAILED")


def check_stack(session, name):
    found = stacks.describe(SimpleNamespace(client=lambda service, region: session.client(service)), name)
    if found and found["StackStatus"] in DEAD_STATES:
        raise SystemExit(f"the stack {name} is {found['StackStatus']}, and can only be removed: make undeploy STACK={name}")


if __name__ == "__main__":
    with plain_errors(argparse.ArgumentTypeError):
        stack, *bucket = sys.argv[1:]
        stack_name(stack)
        session = session_in_region()
        check_stack(session, stack)
        print(code_bucket(session, "".join(bucket)))
