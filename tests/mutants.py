"""Change the code in small ways, one at a time, and see whether a test notices: cargo-mutants, in steps that can be resumed.

    mutants.py CARGO_MUTANTS [K/N]   try what tests/mutants.tsv has no answer for, of all files or of the K-th of N parts
    mutants.py CARGO_MUTANTS check   fail if a mutant was not tried, if too few were noticed or if a survivor has no reason

The mutants are those of .cargo/mutants.toml, in the last commit. Unit tests come first, and the simulation only for mutants that
they did not notice. A mutant goes by its file, its function and the change there, and not by its line, so that an answer outlives
changes elsewhere in the file. A mutant that was noticed once is not tried again, although its function or the test may have
changed since; survivors are. `rm tests/mutants.tsv` has all of them tried anew."""

import collections
import csv
import fcntl
import itertools
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
WORK = ROOT / "target/mutants"
TREE = WORK / "tree"
RESULTS = ROOT / "tests/mutants.tsv"
COLUMNS = ["file", "mutant", "noticed by", "reason"]
SURVIVED, UNVIABLE = "nothing", "the compiler"
LEAST_NOTICED = 0.9

# Who is asked, and with what: first those who answer within seconds.
SLOW = ["metrics::simulated", "page_token::tests", "a_launch_with_wait_is_not_lost_when_a_read_fails"]
JUDGES = {
    "unit tests": (["--package", "shared", "--lib", "--", *(f"--skip={name}" for name in SLOW)], 60),
    "slow unit tests": (["--package", "shared", "--lib", "--", *SLOW], 180),
    "simulation": (["--package", "tests", "--lib", "--", "simulation::"], 600),
}
ENVIRONMENT = os.environ | {
    "CARGO_TARGET_DIR": str(WORK / "build"),
    "CARGO_PROFILE_DEV_DEBUG": "false",
    "PROPTEST_CASES": "16",
}


def key(row):
    return row["file"], row["mutant"]


def read_results():
    if not RESULTS.exists():
        return {}
    with RESULTS.open(newline="") as file:
        return {key(row): row for row in csv.DictReader(file, delimiter="\t")}


def write_results(rows):
    new = RESULTS.with_suffix(".new")
    with new.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, delimiter="\t", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    new.replace(RESULTS)


def check_out():
    if not TREE.exists():
        subprocess.run(["git", "clone", "--quiet", ROOT, TREE], check=True)
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, check=True, text=True, capture_output=True).stdout.strip()
    subprocess.run(["git", "fetch", "--quiet", "origin"], cwd=TREE, check=True)
    subprocess.run(["git", "checkout", "--quiet", "--force", commit], cwd=TREE, check=True)


def all_mutants(tool):
    """Each mutant's row, by cargo-mutants' name of it, which has the line and column."""
    listed = subprocess.run([tool, "mutants", "--list", "--json"], cwd=TREE, check=True, text=True, capture_output=True)
    rows, met = {}, collections.Counter()
    for name in (mutant["name"] for mutant in json.loads(listed.stdout)):
        place = re.fullmatch(r"(.*?):\d+:\d+: (.*)", name).groups()
        met[place] += 1
        again = f" ({met[place]})" if met[place] > 1 else ""
        rows[name] = dict(zip(COLUMNS, (place[0], place[1] + again, "", "")))
    return rows


def known_mutants(tool):
    """All mutants of the code, with what is known of them."""
    check_out()
    known = read_results()
    rows = all_mutants(tool)
    for row in rows.values():
        row |= known.get(key(row), {})
    assert rows, ".cargo/mutants.toml names no file with code"
    return rows


def ask(judge, tool, file, mutants, keep):
    """Has cargo-mutants try these mutants of one file, and keeps what it says of each, also of those before a Ctrl-C."""
    tests, seconds = JUDGES[judge]
    with tempfile.TemporaryDirectory() as output:
        # Its filter by name lets whatever deletes a field pass: the file alone keeps those of other files away.
        exactly = [f"--file={file}", *(f"--re=^{re.escape(name)}$" for name in mutants)]
        command = [tool, "mutants", "--no-config", "--in-place", "--baseline=skip", "--cap-lints=false", "--no-times"]
        command += ["--output", output, "--timeout", str(seconds), *exactly, f"--test-package={tests[1]}", "--", *tests[2:]]
        outcomes = Path(output) / "mutants.out/outcomes.json"
        try:
            # Its exit code says whether a mutant survived, which is no fault here.
            subprocess.run(command, cwd=TREE, env=ENVIRONMENT)
        finally:
            for outcome in json.loads(outcomes.read_text())["outcomes"] if outcomes.exists() else []:
                noticed = {"CaughtMutant": judge, "Timeout": judge, "Unviable": UNVIABLE, "MissedMutant": SURVIVED}
                keep(outcome["scenario"]["Mutant"]["name"], noticed[outcome["summary"]])


def run(tool, part, parts):
    assert 1 <= part <= parts, f"there is no part {part} of {parts}"
    rows = known_mutants(tool)
    mine = list(rows)[len(rows) * (part - 1) // parts : len(rows) * part // parts]
    pending = [name for name in mine if rows[name]["noticed by"] in ("", SURVIVED)]
    print(f"{len(rows)} mutants, {len(pending)} to try", flush=True)
    for judge, (tests, _) in JUDGES.items():
        if not pending:
            break
        # A judge that is red without a mutant would notice everything.
        subprocess.run(["cargo", "test", "--quiet", *tests], cwd=TREE, env=ENVIRONMENT, check=True, stdout=subprocess.DEVNULL)

        def keep(name, noticed_by):
            if name in pending:
                reason = rows[name]["reason"] if noticed_by == SURVIVED else ""
                rows[name] |= {"noticed by": noticed_by, "reason": reason}
                write_results(row for row in rows.values() if row["noticed by"])

        for file, names in itertools.groupby(pending, lambda name: rows[name]["file"]):
            ask(judge, tool, file, list(names), keep)
        pending = [name for name in pending if rows[name]["noticed by"] == SURVIVED]
        print(f"after the {judge}: {len(pending)} survive", flush=True)


def check(tool):
    rows = known_mutants(tool)
    untried = [name for name, row in rows.items() if not row["noticed by"]]
    survivors = [name for name, row in rows.items() if row["noticed by"] == SURVIVED]
    unexplained = [name for name in survivors if not rows[name]["reason"]]
    viable = sum(row["noticed by"] not in ("", UNVIABLE) for row in rows.values())
    share = 1 - len(survivors) / viable if viable else 0
    print(f"{len(rows)} mutants, {viable} viable, {len(survivors)} survive: {share:.1%} noticed")
    for what, names in (("not tried", untried), ("without a reason", unexplained)):
        print("".join(f"{what}: {name}\n" for name in names), end="")
    return not untried and not unexplained and share >= LEAST_NOTICED


def main(tool, what="1/1"):
    WORK.mkdir(parents=True, exist_ok=True)
    with (WORK / "lock").open("w") as lock:
        # One run at a time: all change the same tree.
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if what == "check":
            sys.exit(not check(tool))
        part, parts = map(int, what.split("/"))
        run(tool, part, parts)


if __name__ == "__main__":
    main(*sys.argv[1:])
