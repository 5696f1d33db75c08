"""Fails if a file has what looks like a secret and .ci/secrets.baseline does not know it, or knows one that is gone.

    known_secrets.py [--write]

A row of the baseline says with `is_secret: false` that a person looked at it: AWS's EXAMPLE keys, ids, hashes. `--write` writes
the baseline anew and keeps what was said; `detect-secrets audit .ci/secrets.baseline` then asks about the new rows.
"""

import json
import os
import pathlib
import subprocess
import sys

from detect_secrets import SecretsCollection
from detect_secrets.core import baseline
from detect_secrets.settings import configure_settings_from_baseline

REPOSITORY = pathlib.Path(__file__).parents[2]
# Its hashes look like secrets themselves.
BASELINE = ".ci/secrets.baseline"


def files():
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    # A file may be removed and not yet committed.
    return [name for name in listed.split("\0") if name != BASELINE and pathlib.Path(name).is_file()]


def scanned(known):
    """What git has in the current folder, or would take.

    The baseline says how it is looked for: nothing of it asks the network about what it finds, or heeds a comment in a file.
    """
    configure_settings_from_baseline(known)
    found = SecretsCollection()
    found.scan_files(*files())
    return found


def complaints(found, known):
    """Line numbers change too often to be compared: a secret is a file, a kind and a hash."""
    known = SecretsCollection.load_from_baseline(known)
    new = [f"{name}:{secret.line_number}: {secret.type}: it is not in {BASELINE}" for name, secret in found - known]
    obsolete = [f"{name}: {secret.type}: it is gone, and still in {BASELINE}" for name, secret in known - found]
    unseen = [
        f"{name}: {one.type}: {BASELINE} does not say that it is none" for name, one in known if one.is_secret is not False
    ]
    return new + obsolete + unseen


def main():
    os.chdir(REPOSITORY)
    known = json.loads(pathlib.Path(BASELINE).read_text(encoding="utf-8"))
    found = scanned(known)
    if "--write" in sys.argv[1:]:
        found.merge(SecretsCollection.load_from_baseline(known))
        baseline.save_to_file(found, BASELINE)
    elif wrong := complaints(found, known):
        sys.exit("\n".join([*wrong, "CONTRIBUTING.md, Supply chain, says what to do."]))


if __name__ == "__main__":
    main()
