"""What is in S3 as things to remove: objects below a prefix, in all versions, and the audit's bucket."""

from botocore.exceptions import ClientError

from progress import until
from run import has_code, unless_absent

# CloudTrail delivers for some minutes after its trail is gone.
DELIVERIES_SECONDS = 10 * 60

ABSENT = ("NoSuchBucket", "404")


def versions(run, region, bucket, prefix):
    """All versions and deletion markers of all objects below the prefix."""
    s3 = run.client("s3", region)
    try:
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=prefix):
            for version in page.get("Versions", []) + page.get("DeleteMarkers", []):
                yield {"Key": version["Key"], "VersionId": version["VersionId"]}
    except ClientError as error:
        if not has_code(error, *ABSENT):
            raise


def abort_uploads(run, region, bucket, prefix):
    """Parts of an upload that was interrupted are no object, and are paid for."""
    s3 = run.client("s3", region)
    pages = s3.get_paginator("list_multipart_uploads").paginate(Bucket=bucket, Prefix=prefix)
    for upload in (one for page in pages for one in page.get("Uploads", [])):
        s3.abort_multipart_upload(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])


def empty(run, region, bucket, prefix=""):
    found = list(versions(run, region, bucket, prefix))
    for start in range(0, len(found), 1000):
        objects = found[start:start + 1000]
        run.client("s3", region).delete_objects(Bucket=bucket, Delete={"Objects": objects, "Quiet": True})


def place(entry):
    bucket, prefix = entry.name.split("/", 1)
    return {"bucket": bucket, "prefix": prefix}


class Prefix:
    """`bucket/prefix/`: what this run uploaded."""

    @staticmethod
    def is_there(run, entry):
        return any(versions(run, entry.region, **place(entry)))

    @staticmethod
    def remove(run, entry):
        empty(run, entry.region, **place(entry))
        unless_absent(abort_uploads, *ABSENT, run=run, region=entry.region, **place(entry))

    @staticmethod
    def how_to_remove(entry):
        return f"aws s3 rm --recursive s3://{entry.name}"


class Bucket:
    @staticmethod
    def is_there(run, entry):
        return unless_absent(run.client("s3", entry.region).head_bucket, *ABSENT, Bucket=entry.name) is not None

    @staticmethod
    def remove(run, entry):
        until(lambda: is_deleted(run, entry), DELIVERIES_SECONDS)

    @staticmethod
    def how_to_remove(entry):
        return f"aws s3 rb --force s3://{entry.name}, after its old versions"


def is_deleted(run, entry):
    empty(run, entry.region, entry.name)
    try:
        unless_absent(run.client("s3", entry.region).delete_bucket, *ABSENT, Bucket=entry.name)
    except ClientError as error:
        if has_code(error, "BucketNotEmpty"):
            return False
        raise
    return True
