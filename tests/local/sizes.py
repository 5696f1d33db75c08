"""How large the functions' binaries are, and the packages that are made of them.

    sizes.py [--json] BINARY...

A package is made as `aws cloudformation package` makes it: with `zipfile`, deflated at its own level. Without `--json` this
fails if one is larger than its bound: what Lambda reads on a cold start must not grow unnoticed.
"""

import concurrent.futures
import io
import json
import os
import pathlib
import sys
import zipfile

# In bytes: some percent more than the largest had when they were written. docs/PERFORMANCE.md says what a binary consists of.
BOUNDS = {"binary": 7_300_000, "zip": 2_950_000}
# The self-test of the permissions asks by most calls of the API, and a launch has the largest call, and Systems Manager.
LARGER = {
    "create-instance": {"binary": 8_200_000, "zip": 3_250_000},
    "health": {"binary": 8_600_000, "zip": 3_350_000},
}


def size(binary):
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w", zipfile.ZIP_DEFLATED) as file:
        file.write(binary, "bootstrap")
    return {"binary": binary.stat().st_size, "zip": package.tell()}


def name(binary):
    return binary.parent.name if binary.name == "bootstrap" else binary.name


def sizes(binaries):
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return dict(zip(map(name, binaries), pool.map(size, binaries), strict=True))


def too_large(sizes):
    return [
        f"{operation}: its {what} has {size[what]:,} bytes, {bound:,} at most"
        for operation, size in sizes.items()
        for what, bound in LARGER.get(operation, BOUNDS).items()
        if size[what] > bound
    ]


def main():
    arguments = sys.argv[1:]
    found = sizes([pathlib.Path(argument) for argument in arguments if argument != "--json"])
    if "--json" in arguments:
        print(json.dumps(found))
        return
    for operation, one in found.items():
        print(f"{operation:36} binary {one['binary']:>10,} bytes, zip {one['zip']:>9,} bytes")
    if not found or too_large(found):
        sys.exit("\n".join(too_large(found)) or "no binary was named")


if __name__ == "__main__":
    main()
