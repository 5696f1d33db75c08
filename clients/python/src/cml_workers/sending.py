"""When a call is sent again, and when no more."""

import httpx
from tenacity import RetryCallState, wait_random_exponential

from cml_workers.problems import ExpiredTokenError, ProblemError
from cml_workers.signing import Signing

LONGEST_ANSWER = 30.0
"""Seconds to wait for each part of an answer: the functions have 27, and API Gateway by default 29."""

CONNECT = 5.0
"""Seconds to wait for a connection."""

MOST_UNANSWERED = 3
"""How often a call without an answer is sent: a wrong address never answers."""

_backoff = wait_random_exponential(multiplier=0.5, max=10)


class Again:
    """Sends again what the API calls retryable; what was not answered; and once what other credentials may help."""

    def __init__(self, signing: Signing) -> None:
        self._signing = signing

    def __call__(self, state: RetryCallState) -> bool:
        """Whether to send again. No call of today does harm if it is carried out twice: each launch has a key."""
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, ExpiredTokenError):
            # Once in a call, at whichever sending.
            again = "renewed" not in vars(state) and self._signing.forget()
            vars(state)["renewed"] = True
            return again
        if isinstance(error, ProblemError):
            return error.retryable
        return isinstance(error, httpx.TransportError) and state.attempt_number < MOST_UNANSWERED


def pause(state: RetryCallState) -> float:
    """Seconds until the next sending: what the API asks for and some more, lest callers come back together."""
    error = state.outcome.exception() if state.outcome else None
    return (getattr(error, "retry_after_seconds", None) or 0) + _backoff(state)
