"""Makes deployment packages: one zip per function, named as the function, with its binary as `bootstrap`.

    bundle.py FOLDER BINARY...

They are not compressed and the binaries are stripped: made in a second or two, where `aws cloudformation package` would
spend half a minute on compressing 13 development builds.
"""

import concurrent.futures
import os
import pathlib
import shutil
import subprocess
import sys
import zipfile


def stripped(binary, copy):
    """The binary without symbols, or as it is on a machine without `strip`."""
    if shutil.which("strip") is None:
        return binary
    subprocess.run(["strip", "-o", copy, binary], check=True)
    return copy


def bundle(folder, binary):
    copy, new = folder / f"{binary.name}.stripped", folder / f"{binary.name}.new"
    with zipfile.ZipFile(new, "w", zipfile.ZIP_STORED) as package:
        package.write(stripped(binary, copy), "bootstrap")
    copy.unlink(missing_ok=True)
    # Whose package this is; newer or older says nothing, cargo also puts older builds back.
    os.utime(new, ns=(0, os.stat(binary).st_mtime_ns))
    os.replace(new, folder / binary.name)


def main():
    folder, *binaries = map(pathlib.Path, sys.argv[1:])
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(lambda binary: bundle(folder, binary), binaries))


if __name__ == "__main__":
    main()
