"""The claims, and what was seen of each: the table at the end.

A claim is declared beside the code that observes it, so that the table lists all of them however early the run ends.
"""

import contextlib

from botocore.exceptions import BotoCoreError, ClientError

SEEN, NOT_SEEN, WRONG = "seen", "not seen", "WRONG"
UNREACHED = "the run did not get there"

DECLARED = []


def claim(text):
    DECLARED.append(text)
    return text


class Claims:
    def __init__(self, declared=None):
        self.declared = DECLARED if declared is None else declared
        # In the order in which they were judged.
        self.judged = {}

    def seen(self, claimed, where):
        self._set(claimed, SEEN, where)

    def not_seen(self, claimed, reason):
        self._set(claimed, NOT_SEEN, reason)

    def wrong(self, claimed, where):
        self._set(claimed, WRONG, where)

    def judge(self, claimed, holds, where):
        """Seen if it holds, and else contradicted."""
        self._set(claimed, SEEN if holds else WRONG, where)

    def _set(self, claimed, state, where):
        # Once contradicted, a claim does not become true again.
        if self.state(claimed) != WRONG:
            self.judged[claimed] = (state, where)

    def state(self, claimed):
        return self.judged.get(claimed, (NOT_SEEN, UNREACHED))[0]

    def unjudged(self, claimed):
        return claimed not in self.judged

    @contextlib.contextmanager
    def observing(self, *claimed):
        """What AWS does not let us look at contradicts nothing: those claims are not seen, and the run goes on."""
        try:
            yield
        except (BotoCoreError, ClientError, OSError) as error:
            for one in filter(self.unjudged, claimed):
                self.not_seen(one, one_line(error))

    def rows(self):
        unreached = {text: (NOT_SEEN, UNREACHED) for text in self.declared if self.unjudged(text)}
        return self.judged | unreached

    def any_wrong(self):
        return any(state == WRONG for state, _ in self.judged.values())

    def summary(self):
        states = [state for state, _ in self.rows().values()]
        return ", ".join(f"{states.count(state)} {state}" for state in (SEEN, NOT_SEEN, WRONG))

    def table(self):
        rows = [f"| {cell(text)} | {state} | {cell(where)} |" for text, (state, where) in self.rows().items()]
        return "\n".join(["| claim | state | where, or why not |", "|---|---|---|", *rows])


def one_line(text):
    return " ".join(str(text).split())


def cell(text):
    return one_line(text).replace("|", "\\|")
