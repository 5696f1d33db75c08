"""Prints the S3 bucket that `make deploy` uploads the code to. Without a name it is one of this account, made when it is first needed.

    .venv/bin/python tests/smoke/code_bucket.py STACK [BUCKET]

A name that the stack cannot have is refused, too, and a stack that cannot be updated: CloudFormation would do so after the long build.
"""

import argparse
import sys

from botocore.exceptions import ClientError

import stacks
from arguments import stack_name
from run import Run, has_code, plain_errors, session_in_region


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


def make(run, bucket):
    s3 = run.client("s3")
    # S3 takes no constraint to its first region.
    where = {} if run.region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": run.region}}
    try:
        s3.create_bucket(Bucket=bucket, **where)
    except ClientError as error:
        # Another deployment has made it, or is at it.
        if not has_code(error, "BucketAlreadyOwnedByYou", "OperationAborted"):
            raise
    s3.get_waiter("bucket_exists").wait(Bucket=bucket, ExpectedBucketOwner=run.account)


def code_bucket(run, named):
    return named_bucket(run, named) if named else own_bucket(run)


def named_bucket(run, bucket):
    """Whoever names one trusts its owner, which may be another account."""
    where = region_of(run.client("s3"), bucket)
    if where is None:
        raise SystemExit(f"there is no bucket {bucket}: make it, or let make deploy make one, without BUCKET")
    return in_region(run, bucket, where)


def own_bucket(run):
    """Names are the whole world's: whoever made one of ours before us could exchange the code."""
    bucket = f"cml-workers-code-{run.account}-{run.region}"
    where = region_of(run.client("s3"), bucket, ExpectedBucketOwner=run.account)
    if where is None:
        make(run, bucket)
        return bucket
    return in_region(run, bucket, where)


def in_region(run, bucket, where):
    if where != run.region:
        raise SystemExit(f"the bucket {bucket} is in {where}: Lambda takes code from a bucket in {run.region}")
    return bucket


# CloudFormation updates no stack in these states.
DEAD_STATES = ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "DELETE_FAILED")


def check_stack(run, name):
    found = stacks.describe(run, name)
    if found and found["StackStatus"] in DEAD_STATES:
        raise SystemExit(f"the stack {name} is {found['StackStatus']}, and can only be removed: make undeploy STACK={name}")


if __name__ == "__main__":
    with plain_errors(argparse.ArgumentTypeError):
        stack, *bucket = sys.argv[1:]
        stack_name(stack)
        session = session_in_region()
        run = Run(None, session, session.client("sts").get_caller_identity())
        check_stack(run, stack)
        print(code_bucket(run, "".join(bucket)))
