"""docs/PROOFS.md quotes AWS's API references; what is quoted from them is looked up in the service models that botocore ships."""

import functools
import re

import botocore.loaders
import pytest

from cloudformation import REPOSITORY

SERVICES = ("apigateway", "cloudformation", "cloudtrail", "cloudwatch", "ec2", "iam", "logs", "ssm", "sts")
QUOTED = re.compile(r'"([^"|]+)" \(\[[^]]*\]\(https://docs\.aws\.amazon\.com/[^)]*(?:APIReference|/goto/)[^)]*\)')
QUOTATIONS = QUOTED.findall((REPOSITORY / "docs/PROOFS.md").read_text(encoding="utf-8"))


def texts(node):
    if isinstance(node, dict):
        for name, member in node.items():
            if name == "documentation" and isinstance(member, str):
                yield " ".join(re.sub(r"<[^>]+>", "", member).split())
            else:
                yield from texts(member)


@functools.cache
def documentation():
    """Everything that the models say, as one text."""
    loader = botocore.loaders.Loader()
    return "\n".join(text for service in SERVICES for text in texts(loader.load_service_model(service, "service-2")))


@pytest.mark.parametrize("sentence", QUOTATIONS)
def test_each_quoted_sentence_is_still_in_the_service_model(sentence):
    assert sentence in documentation()


def test_there_are_quotations():
    assert len(QUOTATIONS) >= 15
