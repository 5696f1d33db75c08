"""AWS's lists of error codes, from error_codes.tsv: one row a code, with what we make of it and why.

service `ec2` has every code of "Error codes for the Amazon EC2 API" (docs.aws.amazon.com/ec2/latest/devguide/errors-overview.html, as of
April 2026), `cloudwatch` and `ssm` those of their pages "Common Error Types" and of GetMetricStatistics and GetParameter;
`any` what no page lists and others have met. `kind` is the part of the page; `elsewhere` is on no page of today. `meaning` is one of our
own codes, which AWS_CODES of shared/src/aws/error_codes.rs gives it; `aws_error` where it is left at that on purpose, `never` where no call of
ours can meet it, both with the reason."""

import csv
import functools
import pathlib

LIST = pathlib.Path(__file__).parent / "error_codes.tsv"

# What tests have AWS answer although it never did: a code must not break anything because nobody knows it.
INVENTED = {"SomethingNew", "SomethingThatEc2InventsTomorrow"}


@functools.cache
def rows():
    with LIST.open(encoding="utf-8", newline="") as file:
        return tuple(csv.DictReader(file, delimiter="\t"))


@functools.cache
def known(service):
    """All codes that a service has."""
    return {row["code"] for row in rows() if row["service"] in (service, "any")}
