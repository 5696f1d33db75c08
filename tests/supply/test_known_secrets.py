"""The check of .ci/secrets.baseline, in repositories that have one file."""

import json
import pathlib
import subprocess

import known_secrets
import pytest

# In two parts, so that this file need not stand in the baseline.
KEY = "AKIA" + "IOSFODNN7EXAMPLE"


@pytest.fixture
def complaints(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    subprocess.run(["git", "init", "--quiet"], check=True)
    known = json.loads((known_secrets.REPOSITORY / known_secrets.BASELINE).read_text(encoding="utf-8")) | {"results": {}}

    def look(text, rows=()):
        pathlib.Path("file.txt").write_text(text, encoding="utf-8")
        return known_secrets.complaints(known_secrets.scanned(known), known | {"results": {"file.txt": list(rows)}})

    return look


def row(**said):
    secret = known_secrets.SecretsCollection()
    secret.scan_file("file.txt")
    return secret.json()["file.txt"][0] | said


def test_a_new_secret_is_named_with_its_line(complaints):
    assert complaints(f"the first line\n{KEY}\n") == ["file.txt:2: AWS Access Key: it is not in .ci/secrets.baseline"]
    assert complaints("the first line\n") == []


def test_no_comment_in_the_file_hides_a_secret(complaints):
    assert complaints(f"{KEY}  # pragma: allowlist secret\n") != []


def test_a_known_secret_that_was_looked_at_may_stay_and_may_move(complaints):
    complaints(f"{KEY}\n")
    assert complaints(f"\n\n{KEY}\n", [row(is_secret=False)]) == []


def test_a_known_secret_that_nobody_looked_at_or_that_is_one_fails(complaints):
    complaints(f"{KEY}\n")
    for known in [row(), row(is_secret=True)]:
        assert complaints(f"{KEY}\n", [known]) == [
            "file.txt: AWS Access Key: .ci/secrets.baseline does not say that it is none"
        ]


def test_a_known_secret_that_is_gone_fails(complaints):
    complaints(f"{KEY}\n")
    known = row(is_secret=False)
    assert complaints("nothing\n", [known]) == ["file.txt: AWS Access Key: it is gone, and still in .ci/secrets.baseline"]
