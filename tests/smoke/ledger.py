"""What this program made, in a file that outlives it.

A line is on the disk before the thing it names is made, so that whatever ends the program, the next run knows what to
remove. Nothing that the file does not name is ever removed.
"""

import fcntl
import json
import os
import time
from dataclasses import dataclass, field


class Busy(Exception):
    """Another run holds the ledger."""


@dataclass
class Entry:
    """One thing that was made, or was about to be."""

    number: int
    kind: str
    name: str
    region: str
    account: str
    run: str
    at: float
    # Things are removed in the reverse order of this. What a stack leaves behind belongs right before the stack itself.
    order: float
    details: dict = field(default_factory=dict)
    gone: bool = False

    def __str__(self):
        return f"{self.kind} {self.name} in {self.region}"


def replay(lines):
    """The entries that these lines tell of. A half line is one that was being written when the program was killed."""
    entries = []
    for line in lines:
        try:
            event = json.loads(line)
        except json.JSONDecodeError:
            continue
        apply(event, entries)
    return entries


def apply(event, entries):
    if event["event"] == "made":
        entries.append(Entry(**event["entry"]))
        return
    # None where the disk was full when its own line was to be written.
    for entry in [entry for entry in entries if entry.number == event["number"]]:
        if event["event"] == "gone":
            entry.gone = True
        else:
            entry.details |= event["details"]


def unfinished(entries):
    """What is still to be removed, in the order to remove it in."""
    return sorted((entry for entry in entries if not entry.gone), key=lambda entry: entry.order, reverse=True)


def read(path):
    """What is still to be removed by the ledger at this path, if there is one."""
    return unfinished(replay(path.read_text(encoding="utf-8").splitlines())) if path.exists() else []


class Ledger:
    def __init__(self, path):
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path, self.file = path, open(path, "a+", encoding="utf-8")
        try:
            # The operating system lets go of it however the program ends.
            fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Busy(f"another run uses {path}") from None
        self.file.seek(0)
        text = self.file.read()
        self.entries = replay(text.splitlines())
        if text and not text.endswith("\n"):
            self.file.write("\n")

    def made(self, run, kind, name, before=None, **details):
        """To be called before it is made. `before` is an entry that has to be removed first."""
        number = len(self.entries) + 1
        order = number if before is None else before.order - number / 1_000_000
        entry = Entry(number, kind, name, run.region, run.account, run.id, time.time(), order, details)
        # First, so that a signal between the two cannot have the next entry take the same number.
        self.entries.append(entry)
        self._write({"event": "made", "entry": vars(entry)})
        return entry

    def know(self, entry, **details):
        self._write({"event": "known", "number": entry.number, "details": details})
        entry.details |= details

    def gone(self, entry):
        self._write({"event": "gone", "number": entry.number})
        entry.gone = True

    def unfinished(self):
        return unfinished(self.entries)

    def of(self, run_id, kind):
        return [entry for entry in self.entries if (entry.run, entry.kind) == (run_id, kind)]

    def _write(self, event):
        self.file.write(json.dumps(event) + "\n")
        self.file.flush()
        os.fsync(self.file.fileno())
