"""The list of error codes is whole, and decides about each. That it agrees with the code's own table is a test in shared/src/aws/errors/tests.rs."""

from error_codes import known, rows
from service_models import operation


def test_each_code_is_listed_once_and_unmapped_codes_have_a_reason():
    assert len({(row["service"], row["code"]) for row in rows()}) == len(rows())
    for row in rows():
        assert row["meaning"] and (row["why"] or row["meaning"] not in ("aws_error", "never")), row


def test_the_lists_are_as_long_as_aws_s_pages():
    counts = {}
    for row in rows():
        counts[row["service"], row["kind"]] = counts.get((row["service"], row["kind"]), 0) + 1
    # EC2's InvalidParameterValue stands on its page twice, under common codes and those of actions.
    found = [counts["ec2", kind] for kind in ("common", "action", "server")]
    page = "https://docs.aws.amazon.com/ec2/latest/devguide/errors-overview.html"
    assert found == [28, 376, 13], f"a row of error_codes.tsv is missing or new: compare with {page}"


def test_error_codes_of_the_service_models_are_listed():
    for service, name in (("cloudwatch", "GetMetricStatistics"), ("ssm", "GetParameter")):
        codes = {shape.error_code for shape in operation(name).error_shapes}
        assert codes and codes <= known(service)
