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


def test_a_claim_never_reached_is_not_seen(claims):
    assert claims.rows() == {FIRST: (NOT_SEEN, UNREACHED), SECOND: (NOT_SEEN, UNREACHED)}
    assert not claims.any_wrong()


def test_a_true_claim_is_seen_and_a_false_one_is_wrong(claims):
    claims.judge(FIRST, True, "looked up")
    claims.judge(SECOND, [], "touched it")
    assert claims.rows() == {FIRST: (SEEN, "looked up"), SECOND: (WRONG, "touched it")}
    assert claims.any_wrong()


@pytest.mark.parametrize("then", ["seen", "not_seen"])
def test_once_contradicted_a_claim_stays_so(claims, then):
    claims.wrong(FIRST, "at night")
    getattr(claims, then)(FIRST, "by day")
    assert claims.rows()[FIRST] == (WRONG, "at night")


def test_a_seen_claim_can_still_be_contradicted(claims):
    claims.seen(FIRST, "by day")
    claims.wrong(FIRST, "at night")
    assert claims.state(FIRST) == WRONG


def test_a_denied_observation_leaves_the_claim_unseen_and_the_run_continues(claims):
    with claims.observing(FIRST, SECOND):
        claims.seen(FIRST, "looked up")
        raise denied()
    assert claims.state(FIRST) == SEEN
    assert claims.rows()[SECOND][0] == NOT_SEEN and "You may not." in claims.rows()[SECOND][1]


def test_a_fault_of_the_program_is_not_taken_for_an_answer(claims):
    with pytest.raises(KeyError), claims.observing(FIRST):
        raise KeyError("typo")
    assert claims.unjudged(FIRST)


def test_the_table_starts_with_judged_claims_and_ends_with_unreached_ones(claims):
    claims.seen(SECOND, "touched\nit | twice")
    assert claims.table().splitlines()[2:] == [
        f"| {SECOND} | seen | touched it \\| twice |", f"| {FIRST} | not seen | {UNREACHED} |"]
    assert claims.summary() == "1 seen, 1 not seen, 0 WRONG"
