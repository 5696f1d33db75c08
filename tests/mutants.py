"""Change the code in small ways, one at a time, and see whether a test notices: cargo-mutants, in steps that can be resumed.

    mutants.py CARGO_MUTANTS [K/N]   try what tests/mutants.tsv has no answer for, of all files or of the K-th of N parts
    mutants.py CARGO_MUTANTS check   fail if a mutant was not tried, if too few were noticed or if a survivor has no reason

The mutants are those of .cargo/mutants.toml, in the last commit. Unit tests come first, and the simulation only for what they
did not notice. A mutant goes by its function and what is changed there, not by its file and line, so that an answer outlives
a function that moves. Whatever was noticed once is not tried again; survivors are. Without tests/mutants.tsv all are.
"""

import collections
import csv
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
SLOW = ["utilization::simulated", "page_token::tests", "a_launch_that_is_waited_for_is_not_lost_because_of_a_read"]
JUDGES = {
    "unit tests": ["--test-package", "shared", "--timeout", "60", "--", "--lib", "--", *(f"--skip={name}" for name in SLOW)],
    "slow unit tests": ["--test-package", "shared", "--timeout", "180", "--", "--lib", "--", *SLOW],
    "simulation": ["--test-package", "tests", "--timeout", "600", "--", "--lib", "--", "simulation::"],
}
SUMMARIES = {"CaughtMutant": True, "Timeout": True, "Unviable": UNVIABLE, "MissedMutant": False}


def read_results():
    if not RESULTS.exists():
        return {}
    with RESULTS.open(newline="") as file:
        return {row["mutant"]: row for row in csv.DictReader(file, delimiter="\t")}


def write_results(rows):
    with RESULTS.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, delimiter="\t", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


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
        file, change = re.fullmatch(r"(.*?):\d+:\d+: (.*)", name).groups()
        met[change] += 1
        again = f" ({met[change]})" if met[change] > 1 else ""
        rows[name] = {"file": file, "mutant": change + again, "noticed by": "", "reason": ""}
    return rows


def ask(judge, tool, file, mutants, keep):
    """Has cargo-mutants try these mutants of one file, and keeps what it says of each, also of those before a Ctrl-C."""
    with tempfile.TemporaryDirectory() as output:
        # Its filter by name lets whatever deletes a field pass: the file alone keeps those of other files away.
        exactly = [f"--file={file}", *(f"--re=^{re.escape(name)}$" for name in mutants)]
        command = [tool, "mutants", "--no-config", "--in-place", "--baseline=skip", "--cap-lints=false", "--no-times", "--output", output]
        environment = {"CARGO_TARGET_DIR": str(WORK / "build"), "CARGO_PROFILE_DEV_DEBUG": "false", "PROPTEST_CASES": "16"}
        try:
            # Its exit code says whether a mutant survived, which is no fault here.
            subprocess.run([*command, *exactly, *JUDGES[judge]], cwd=TREE, env=os.environ | environment)
        finally:
            for outcome in json.loads((Path(output) / "mutants.out/outcomes.json").read_text())["outcomes"]:
                keep(outcome["scenario"]["Mutant"]["name"], SUMMARIES[outcome["summary"]])


def known_mutants(tool):
    """All mutants of the code, with what is known of them."""
    check_out()
    known = read_results()
    rows = all_mutants(tool)
    for row in rows.values():
        row |= {column: known.get(row["mutant"], row)[column] for column in ("noticed by", "reason")}
    return rows


def run(tool, part, parts):
    rows = known_mutants(tool)
    mine = list(rows)[len(rows) * (part - 1) // parts : len(rows) * part // parts]
    pending = [name for name in mine if rows[name]["noticed by"] in ("", SURVIVED)]
    print(f"{len(rows)} mutants, {len(pending)} to try", flush=True)
    for judge in JUDGES:

        def keep(name, noticed):
            if name in pending:
                rows[name]["noticed by"] = judge if noticed is True else noticed or SURVIVED
                rows[name]["reason"] = "" if noticed else rows[name]["reason"]
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
    share = 1 - len(survivors) / max(viable, 1)
    print(f"{len(rows)} mutants, {viable} viable, {len(survivors)} survive: {share:.1%} noticed")
    print(*[f"not tried: {name}" for name in untried], *[f"without a reason: {name}" for name in unexplained], sep="\n")
    return not untried and not unexplained and share >= LEAST_NOTICED


def main(tool, what="1/1"):
    if what == "check":
        sys.exit(not check(tool))
    part, parts = map(int, what.split("/"))
    run(tool, part, parts)


if __name__ == "__main__":
    main(*sys.argv[1:])
