"""The table: three states, of which the worst stays, and a row for what was never reached."""

import pytest
from botocore.exceptions import ClientError
from claims import NOT_SEEN, SEEN, UNREACHED, WRONG, Claims

FIRST, SECOND = "The sky is blue", "Water is wet"


@pytest.fixture
def claims():
    return Claims([FIRST, SECOND])


def denied():
    return ClientError({"Error": {"Code": "AccessDenied", "Message": "You may not."}}, "GetTrailStatus")


def test_what_was_never_reached_is_not_seen(claims):
    assert claims.rows() == {FIRST: (NOT_SEEN, UNREACHED), SECOND: (NOT_SEEN, UNREACHED)}
    assert not claims.any_wrong()


def test_what_holds_is_seen_and_what_does_not_is_wrong(claims):
    claims.judge(FIRST, True, "looked up")
    claims.judge(SECOND, [], "touched it")
    assert claims.rows() == {FIRST: (SEEN, "looked up"), SECOND: (WRONG, "touched it")}
    assert claims.any_wrong()


@pytest.mark.parametrize("then", ["seen", "not_seen"])
def test_once_contradicted_a_claim_stays_so(claims, then):
    claims.wrong(FIRST, "at night")
    getattr(claims, then)(FIRST, "by day")
    assert claims.rows()[FIRST] == (WRONG, "at night")


def test_what_was_seen_can_still_be_contradicted(claims):
    claims.seen(FIRST, "by day")
    claims.wrong(FIRST, "at night")
    assert claims.state(FIRST) == WRONG


def test_what_aws_does_not_let_us_look_at_is_not_seen_and_the_run_goes_on(claims):
    with claims.observing(FIRST, SECOND):
        claims.seen(FIRST, "looked up")
        raise denied()
    assert claims.state(FIRST) == SEEN
    assert claims.rows()[SECOND][0] == NOT_SEEN and "You may not." in claims.rows()[SECOND][1]


def test_a_fault_of_the_program_is_not_taken_for_an_answer(claims):
    with pytest.raises(KeyError), claims.observing(FIRST):
        raise KeyError("typo")
    assert claims.unjudged(FIRST)


def test_the_table_has_what_was_judged_first_and_what_was_not_reached_last(claims):
    claims.seen(SECOND, "touched\nit | twice")
    assert claims.table().splitlines()[2:] == [
        f"| {SECOND} | seen | touched it \\| twice |", f"| {FIRST} | not seen | {UNREACHED} |"]
    assert claims.summary() == "1 seen, 1 not seen, 0 WRONG"
