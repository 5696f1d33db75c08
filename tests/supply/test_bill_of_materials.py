"""What `make build` writes, against Cargo.lock."""

import json
import subprocess
import tomllib

import bill_of_materials
import pytest
from bill_of_materials import REPOSITORY


@pytest.fixture(scope="module")
def tree():
    host = subprocess.run(["rustc", "-vV"], check=True, capture_output=True, text=True).stdout.split("host: ")[1].split()[0]
    return bill_of_materials.linked(bill_of_materials.cargo_tree(host))


@pytest.fixture
def written(tree, tmp_path):
    binary = tmp_path / "bootstrap"
    binary.write_bytes(b"a function")
    return lambda operation: json.loads(bill_of_materials.document(operation, binary, *tree, bill_of_materials.checksums()))


def test_each_function_has_what_is_linked_into_it(written):
    lock = tomllib.loads((REPOSITORY / "Cargo.lock").read_text(encoding="utf-8"))["package"]
    locked = {package["name"]: package for package in lock}
    for operation in [folder.name for folder in (REPOSITORY / "functions").iterdir()]:
        document = written(operation)
        assert document["metadata"]["component"]["name"] == operation
        rows = {row["name"]: row for row in document["components"]}
        for name in ["aws-sdk-ec2", "rustls"]:
            assert rows[name]["version"] == locked[name]["version"]
            assert rows[name]["hashes"] == [{"alg": "SHA-256", "content": locked[name]["checksum"]}]
            assert rows[name]["licenses"] and rows[name]["purl"] == f"pkg:cargo/{name}@{locked[name]['version']}"
        references = {row["bom-ref"]: row["name"] for row in document["components"]} | {document["metadata"]["component"]["bom-ref"]: operation}
        needs = {references[row["ref"]]: {references[one] for one in row.get("dependsOn", [])} for row in document["dependencies"]}
        assert "shared" in needs[operation] and "aws-sdk-ec2" in needs["shared"] and "rustls" in needs["hyper-rustls"]
        # What other functions are, what only tests, builds and macros need, and what only a feature of the tests brings.
        assert not rows.keys() & {operation, "tests", "aws-smithy-mocks", "cc", "serde_derive", "h2", "ring"}
        assert {"aws-smithy-mocks", "cc", "serde_derive", "h2", "ring"} <= locked.keys()


def test_the_same_sources_give_the_same_file_and_another_binary_another_one(tree, tmp_path):
    binary = tmp_path / "bootstrap"

    def text():
        return bill_of_materials.document("health", binary, *tree, bill_of_materials.checksums())

    binary.write_bytes(b"a function")
    first = text()
    assert text() == first
    binary.write_bytes(b"another one")
    assert text() != first


def test_a_crate_that_another_function_needs_is_not_listed():
    lines = ["0 one v1.0.0 (/here)|MIT", "1 both v2.0.0|MIT", "2 below v3.0.0|MIT", ""]
    lines += ["0 two v1.0.0 (/there)|MIT", "1 both v2.0.0|MIT (*)", "1 own v4.0.0|MIT"]
    _, needs = bill_of_materials.linked(lines)
    one, two, both, below, own = ("one", "1.0.0"), ("two", "1.0.0"), ("both", "2.0.0"), ("below", "3.0.0"), ("own", "4.0.0")
    assert bill_of_materials.reached(one, needs) == {one, both, below}
    assert bill_of_materials.reached(two, needs) == {two, both, below, own}


def test_a_document_that_cyclonedx_does_not_allow_is_refused(written):
    validator = bill_of_materials.JsonStrictValidator(bill_of_materials.VERSION)
    document = written("health")
    assert validator.validate_str(json.dumps(document)) is None
    document["components"][0]["type"] = "crate"
    assert validator.validate_str(json.dumps(document)) is not None
