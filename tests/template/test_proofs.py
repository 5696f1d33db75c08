"""docs/PROOFS.md, DEPLOYING.md and MIGRATION.md quote AWS's API references; what is quoted from them is looked up in the service models that botocore ships.

And the links of all pages, to a file or to a heading of one, lead to one that is there.
"""

import functools
import re

import botocore.loaders
import pytest

from cloudformation import REPOSITORY

SERVICES = ("apigateway", "cloudformation", "cloudtrail", "cloudwatch", "ec2", "iam", "logs", "ssm", "sts")
QUOTED = re.compile(r'"([^"|]+)" \(\[[^]]*\]\(https://docs\.aws\.amazon\.com/[^)]*(?:APIReference|/goto/)[^)]*\)')
QUOTING = ("docs/PROOFS.md", "docs/MIGRATION.md", "docs/DEPLOYING.md")
QUOTATIONS = [" ".join(each.split()) for page in QUOTING for each in QUOTED.findall((REPOSITORY / page).read_text(encoding="utf-8"))]


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


PAGES = sorted(path for folder in ("", "docs/", "iam/", "clients/python/") for path in REPOSITORY.glob(f"{folder}*.md"))
LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)")


def anchors(page):
    """As GitHub makes them: small letters, dashes for spaces, and no other mark."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_each_link_leads_somewhere(page):
    assert dead_links(page, page.read_text(encoding="utf-8")) == []


def dead_links(page, text):
    found = [((page.parent / path).resolve() if path else page, anchor) for path, anchor in LINK.findall(text)]
    return [f"{other}#{anchor}" for other, anchor in found if not other.exists() or anchor and anchor not in anchors(other)]


@pytest.mark.parametrize("link", ["docs/NONE.md", "docs/API.md#nothing", "#nothing"])
def test_a_dead_link_is_noticed(link):
    assert len(dead_links(REPOSITORY / "README.md", f"See [there]({link}).")) == 1


def test_there_are_quotations():
    assert len(QUOTATIONS) >= 15
