"""Says what the functions are that CloudFormation packages, and makes them ready for that.

    packages.py target/lambda/<operation>/bootstrap...

Fails if one would not run on provided.al2023. Equal binaries make equal packages: `aws cloudformation package` writes a file's time
and mode into the zip, so these are always the same, and it uploads under a name that is a hash of the zip.
"""

import hashlib
import os
import pathlib
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


def glibc(elf):
    """The newest glibc that a symbol of the binary asks for."""
    needed = [section for section in elf.iter_sections() if isinstance(section, GNUVerNeedSection)]
    names = [version.name for section in needed for _, versions in section.iter_versions() for version in versions]
    versions = [tuple(map(int, name.removeprefix("GLIBC_").split("."))) for name in names if name.startswith("GLIBC_2")]
    return max(versions, default=(2, 0))


def libraries(elf):
    dynamic = [section for section in elf.iter_sections() if isinstance(section, DynamicSection)]
    return {tag.needed for section in dynamic for tag in section.iter_tags("DT_NEEDED")}


def make_equal(package):
    package.chmod(0o755)
    os.utime(package, (TIME, TIME))


def faults(name, elf):
    if architecture(elf) not in ARCHITECTURES.values():
        yield f"{name} is for {architecture(elf)}, and Lambda has {' and '.join(ARCHITECTURES.values())}"
    if glibc(elf) > NEWEST_GLIBC:
        needed, newest = (".".join(map(str, version)) for version in (glibc(elf), NEWEST_GLIBC))
        yield f"{name} needs glibc {needed}, and provided.al2023 has {newest}: `make build ZIG=1` builds for that one"
    for library in sorted(libraries(elf) - LIBRARIES):
        yield f"{name} needs {library}, which provided.al2023 may not have"


def main():
    packages = sorted(map(pathlib.Path, sys.argv[1:]))
    found, architectures, everything = [], set(), hashlib.sha256()
    for package in packages:
        with package.open("rb") as file:
            elf = ELFFile(file)
            found.extend(faults(package.parent.name, elf))
            architectures.add(architecture(elf))
        everything.update(hashlib.sha256(package.read_bytes()).digest())
        make_equal(package)
    if found or len(architectures) != 1:
        sys.exit("\n".join(found) or f"the functions are for {architectures or 'nothing'}, not for one architecture")
    print(f"{len(packages)} functions for {architectures.pop()}, sha256 {everything.hexdigest()}")


if __name__ == "__main__":
    main()
