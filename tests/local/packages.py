"""Says what the functions are that CloudFormation packages, and makes them ready for that.

    packages.py ARCHITECTURE target/lambda/<operation>/bootstrap...

Fails if one would not run on provided.al2023 and that architecture. Equal binaries make equal packages: `aws cloudformation package` writes a file's time
and mode into the zip, so these are always the same, and it uploads under a name that is a hash of the zip.
"""

import hashlib
import os
import pathlib
import re
import sys

from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerNeedSection

# Of provided.al2023: its glibc, and the libraries that a Rust program is linked with.
NEWEST_GLIBC = (2, 34)
LIBRARIES = {"libc.so.6", "libm.so.6", "libgcc_s.so.1", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"}
ARCHITECTURES = {"EM_X86_64": "x86_64", "EM_AARCH64": "arm64"}
# The first moment that a zip can hold, in UTC: `make deploy` sets TZ.
TIME = 315_532_800


def architecture(elf):
    return ARCHITECTURES.get(elf["e_machine"], elf["e_machine"])


def versions(elf):
    """What the binary's symbols ask of glibc."""
    needed = [section for section in elf.iter_sections() if isinstance(section, GNUVerNeedSection)]
    names = {version.name for section in needed for _, versions in section.iter_versions() for version in versions}
    return {name for name in names if name.startswith("GLIBC_")}


def is_newer(version):
    """Also if it is none: a new linker asks for GLIBC_ABI_DT_RELR, which glibc has since 2.36."""
    number = re.fullmatch(r"GLIBC_(\d+(?:\.\d+)+)", version)
    return number is None or tuple(map(int, number[1].split("."))) > NEWEST_GLIBC


def libraries(elf):
    dynamic = [section for section in elf.iter_sections() if isinstance(section, DynamicSection)]
    return {tag.needed for section in dynamic for tag in section.iter_tags("DT_NEEDED")}


def make_equal(package):
    package.chmod(0o755)
    os.utime(package, (TIME, TIME))


def faults(name, elf, wanted):
    if architecture(elf) != wanted:
        yield f"{name} is for {architecture(elf)}, and not for {wanted}"
    for version in sorted(filter(is_newer, versions(elf))):
        newest = ".".join(map(str, NEWEST_GLIBC))
        yield f"{name} needs {version}, and provided.al2023 has glibc {newest}: `make build ZIG=1` builds for that one"
    for library in sorted(libraries(elf) - LIBRARIES):
        yield f"{name} needs {library}, which provided.al2023 may not have"


def main():
    wanted, *packages = sys.argv[1:]
    found, everything = [], hashlib.sha256()
    for package in sorted(map(pathlib.Path, packages)):
        with package.open("rb") as file:
            found.extend(faults(package.parent.name, ELFFile(file), wanted))
        everything.update(hashlib.sha256(package.read_bytes()).digest())
        make_equal(package)
    if found or not packages:
        sys.exit("\n".join(found) or "no function was named")
    print(f"{len(packages)} functions for {wanted}, sha256 {everything.hexdigest()}")


if __name__ == "__main__":
    main()
