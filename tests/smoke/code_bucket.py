"""Prints the S3 bucket that `make deploy` uploads the code to. Without a name it is one of this account, made when it is first needed.

    .venv/bin/python tests/smoke/code_bucket.py STACK [BUCKET]

A name that the stack cannot have is refused, too: CloudFormation would do so after the long build.
"""

import argparse
import contextlib
import sys

from botocore.exceptions import ClientError

from arguments import stack_name
from run import has_code, plain_errors, session_in_region


def region_of(s3, bucket, account):
    """Nothing if there is none. Names are the whole world's: whoever made one of ours before us could exchange the code."""
    try:
        answer = s3.head_bucket(Bucket=bucket, ExpectedBucketOwner=account)
    except ClientError as error:
        if has_code(error, "403"):
            raise SystemExit(
                f"the bucket {bucket} is not of the account {account}, or you lack s3:ListBucket on it: name another one, BUCKET=<name>"
            ) from None
        if has_code(error, "404"):
            return None
        raise
    return answer.get("BucketRegion", s3.meta.region_name)


def make(s3, bucket, account, region):
    # S3 takes no constraint to its first region.
    where = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    with contextlib.suppress(s3.exceptions.BucketAlreadyOwnedByYou):
        # Another deployment may be making it.
        s3.create_bucket(Bucket=bucket, **where)
    s3.get_waiter("bucket_exists").wait(Bucket=bucket, ExpectedBucketOwner=account)


def code_bucket(session, named):
    account = session.client("sts").get_caller_identity()["Account"]
    s3 = session.client("s3")
    bucket = named or f"cml-workers-code-{account}-{session.region_name}"
    where = region_of(s3, bucket, account)
    if where is None and named:
        raise SystemExit(f"there is no bucket {bucket}: make it, or let make deploy make one, without BUCKET")
    if where is None:
        make(s3, bucket, account, session.region_name)
    elif where != session.region_name:
        raise SystemExit(f"the bucket {bucket} is in {where}: Lambda takes code from a bucket in {session.region_name}")
    return bucket


if __name__ == "__main__":
    with plain_errors(argparse.ArgumentTypeError):
        stack, *bucket = sys.argv[1:]
        stack_name(stack)
        print(code_bucket(session_in_region(), "".join(bucket)))
