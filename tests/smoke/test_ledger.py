"""The ledger: what is unfinished, in which order it is removed, and what a killed program leaves of it."""

from types import SimpleNamespace

import pytest
from ledger import Busy, Ledger, replay, unfinished

RUN = SimpleNamespace(id="0a1b2c3d", account="123456789012", region="us-east-1")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "smoke" / "stack.jsonl"


def names(entries):
    return [entry.name for entry in entries]


def read(path):
    return replay(path.read_text(encoding="utf-8").splitlines())


def test_entries_are_removed_in_reverse_order(path):
    ledger = Ledger(path)
    for name in ("first", "second", "third"):
        ledger.made(RUN, "role", name)
    assert names(ledger.unfinished()) == ["third", "second", "first"]


def test_a_removed_entry_is_not_removed_again(path):
    ledger = Ledger(path)
    role = ledger.made(RUN, "role", "role")
    ledger.made(RUN, "stack", "stack")
    ledger.gone(role)
    assert names(ledger.unfinished()) == ["stack"]


def test_leftovers_of_a_stack_are_removed_right_after_it_in_order(path):
    ledger = Ledger(path)
    ledger.made(RUN, "workers", "workers")
    stack = ledger.made(RUN, "stack", "stack")
    ledger.made(RUN, "role", "caller")
    ledger.made(RUN, "logging-role", "former", before=stack)
    ledger.made(RUN, "bucket", "bucket", before=stack)
    assert names(ledger.unfinished()) == ["caller", "stack", "former", "bucket", "workers"]


def test_a_line_is_in_the_file_before_the_thing_is_made(path):
    ledger = Ledger(path)
    ledger.made(RUN, "role", "role", why="because")
    [entry] = read(path)
    assert (entry.kind, entry.name, entry.region, entry.run) == ("role", "role", "us-east-1", RUN.id)
    assert entry.details == {"why": "because"}


def test_the_next_program_reads_what_the_last_one_knew(path):
    ledger = Ledger(path)
    stack = ledger.made(RUN, "stack", "stack")
    ledger.know(stack, id="arn")
    ledger.gone(ledger.made(RUN, "role", "role"))
    ledger.file.close()
    next_one = Ledger(path)
    [entry] = next_one.unfinished()
    assert (entry.name, entry.details) == ("stack", {"id": "arn"})
    assert next_one.made(RUN, "role", "another").number == 3


def test_half_a_line_is_one_that_was_being_written(path):
    ledger = Ledger(path)
    ledger.made(RUN, "role", "whole")
    ledger.file.write('{"event": "made", "en')
    ledger.file.close()
    next_one = Ledger(path)
    next_one.made(RUN, "role", "after")
    assert names(next_one.unfinished()) == ["after", "whole"]
    assert names(unfinished(read(path))) == ["after", "whole"]


def test_two_programs_do_not_share_a_ledger(path):
    ledger = Ledger(path)
    with pytest.raises(Busy):
        Ledger(path)
    ledger.file.close()
    Ledger(path)


def interrupt(_):
    raise KeyboardInterrupt


def test_an_entry_whose_writing_was_interrupted_keeps_its_number_to_itself(path, monkeypatch):
    books = Ledger(path)
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr("os.fsync", interrupt)
        books.made(RUN, "bucket", "first")
    books.gone(books.made(RUN, "bucket", "second"))
    books.file.close()
    assert names(Ledger(path).unfinished()) == ["first"]


def test_a_ledger_line_about_an_unknown_entry_is_skipped():
    assert replay(['{"event": "gone", "number": 7}']) == []
