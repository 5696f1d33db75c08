"""Answers and addresses of the API."""

import pytest
from api import Answer, reachable

TOKEN = "x-amz-security-token:IQoJb3JpZ2luX2VjEXAMPLE"


def answer(status, text, content_type="application/json"):
    return Answer("GET /health", status, {"content-type": content_type}, text)


def test_a_problem_is_told_with_its_code_and_its_words():
    text = '{"code": "instance_not_found", "detail": "No such instance."}'
    told = answer(404, text, "application/problem+json")
    assert str(told) == "GET /health answered 404 instance_not_found: No such instance."
    assert told.code == "instance_not_found"


def test_a_message_that_can_quote_the_request_is_not_repeated():
    told = answer(403, '{"message": "The Canonical String should have been ' + TOKEN + '", "code": "x"}')
    assert TOKEN not in str(told) and told.code is None


@pytest.mark.parametrize("text", ["", "<html>", "[1]", "null"])
def test_an_answer_without_a_document_has_no_members(text):
    assert answer(502, text).json == {}


@pytest.mark.parametrize(("url", "expected"), [
    ("http://a1.execute-api.localhost:4566/v1/health?a=b", "http://127.0.0.1:4566/v1/health?a=b"),
    ("http://a1.execute-api.localhost/v1", "http://127.0.0.1/v1"),
    ("https://a1.execute-api.us-east-1.amazonaws.com/v1", "https://a1.execute-api.us-east-1.amazonaws.com/v1"),
    ("https://localhost.example.com/v1", "https://localhost.example.com/v1"),
])
def test_names_below_localhost_are_this_machine(url, expected):
    assert reachable(url) == expected
