"""Writes what is linked into FOLDER/<operation>/bootstrap as a CycloneDX document, FOLDER/<operation>.cdx.json.

    bill_of_materials.py TARGET FOLDER OPERATION...

`cargo tree` resolves the features of the functions alone, as `make build` does. The ready-made tools read `cargo metadata`,
which resolves the whole workspace: they would list crates that only the tests need. A document has no time and no serial
number, so that the same sources give the same file. Rust's standard library has no row in Cargo.lock, and is not listed.
"""

import hashlib
import pathlib
import subprocess
import sys
import tomllib

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

REPOSITORY = pathlib.Path(__file__).parents[2]
VERSION = SchemaVersion.V1_6


def cargo_tree(target):
    """The lines of what is linked: neither macros nor what only a build or a test needs."""
    command = ["cargo", "tree", "--locked", "--target", target, "--edges", "normal,no-proc-macro"]
    command += ["--prefix", "depth", "--format", " {p}|{l}"]
    return subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True, text=True).stdout.splitlines()


def linked(lines):
    """The licence of each crate, and which crates it needs itself. A crate is its name and version."""
    licences, needs, above = {}, {}, []
    for line in filter(None, lines):
        depth, crate = line.split(" ", 1)
        package, licence = crate.removesuffix(" (*)").split("|")
        name, version = package.split()[:2]
        crate = name, version.removeprefix("v")
        licences[crate] = licence
        needs.setdefault(crate, set())
        del above[int(depth) :]
        if above:
            needs[above[-1]].add(crate)
        above.append(crate)
    return licences, needs


def reached(crate, needs):
    found, left = set(), [crate]
    while left:
        one = left.pop()
        if one not in found:
            found.add(one)
            left.extend(needs[one])
    return found


def checksums():
    """What Cargo.lock says of the crates that come from a registry. Those of this repository have none."""
    lock = tomllib.loads((REPOSITORY / "Cargo.lock").read_text(encoding="utf-8"))
    return {(package["name"], package["version"]): package["checksum"] for package in lock["package"] if "checksum" in package}


def component(crate, licence, checksum):
    name, version = crate
    return Component(
        type=ComponentType.LIBRARY,
        name=name,
        version=version,
        bom_ref=f"{name}@{version}",
        purl=PackageURL("cargo", name=name, version=version) if checksum else None,
        licenses=[LicenseFactory().make_from_string(licence.replace("/", " OR "))],
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=checksum)] if checksum else [],
    )


def document(operation, binary, licences, needs, checksums):
    function = next(crate for crate in licences if crate[0] == operation)
    parts = {crate: component(crate, licences[crate], checksums.get(crate)) for crate in reached(function, needs)}
    bom = Bom(components=[part for crate, part in parts.items() if crate != function])
    bom.serial_number = bom.metadata.timestamp = None
    bom.metadata.component = parts[function]
    parts[function].type = ComponentType.APPLICATION
    parts[function].hashes = [HashType(alg=HashAlgorithm.SHA_256, content=hashlib.sha256(binary.read_bytes()).hexdigest())]
    for crate, part in parts.items():
        bom.register_dependency(part, [parts[need] for need in needs[crate]])
    return make_outputter(bom, OutputFormat.JSON, VERSION).output_as_string(indent=2) + "\n"


def main():
    target, folder, *operations = sys.argv[1:]
    folder = pathlib.Path(folder)
    licences, needs = linked(cargo_tree(target))
    for operation in operations:
        text = document(operation, folder / operation / "bootstrap", licences, needs, checksums())
        if wrong := JsonStrictValidator(VERSION).validate_str(text):
            sys.exit(f"{operation}: not what CycloneDX {VERSION.to_version()} allows: {wrong}")
        (folder / f"{operation}.cdx.json").write_text(text, encoding="utf-8")
    print(f"{len(operations)} documents of what is linked are in {folder}: <operation>.cdx.json")


if __name__ == "__main__":
    main()
