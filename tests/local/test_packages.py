import os
import pathlib
import subprocess
import sys
import time

import pytest
from awscli.customizations.cloudformation.artifact_exporter import make_zip
from elftools.elf.elffile import ELFFile

import packages

# A program of this machine, an x86_64, linked dynamically, as a function is.
PROGRAM = pathlib.Path(sys.executable).resolve()


@pytest.fixture
def package(tmp_path):
    path = tmp_path / "start-instance/bootstrap"
    path.parent.mkdir()
    path.write_bytes(PROGRAM.read_bytes())
    return path


@pytest.fixture
def elf():
    with PROGRAM.open("rb") as file:
        yield ELFFile(file)


def run(*arguments):
    command = [sys.executable, "-B", packages.__file__, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def zipped(package, name, monkeypatch):
    """As `aws cloudformation package` does it, under `make deploy`."""
    monkeypatch.setenv("TZ", "UTC0")
    time.tzset()
    return pathlib.Path(make_zip(str(package.parent.parent / name), str(package.parent))).read_bytes()


def test_the_same_binary_makes_the_same_package_at_another_time_with_another_mode(package, monkeypatch):
    packages.make_equal(package)
    first = zipped(package, "first", monkeypatch)
    os.utime(package, (1_700_000_000, 1_700_000_000))
    package.chmod(0o700)
    assert zipped(package, "other", monkeypatch) != first
    packages.make_equal(package)
    assert zipped(package, "second", monkeypatch) == first


def test_provided_al2023_has_glibc_2_34():
    """Nothing of AWS's that a test could read says so: docs/PROOFS.md has it as `not yet`."""
    assert packages.NEWEST_GLIBC == (2, 34)


@pytest.mark.parametrize(("version", "newer"), [
    ("GLIBC_2.34", False), ("GLIBC_2.2.5", False), ("GLIBC_2.35", True), ("GLIBC_3.0", True), ("GLIBC_ABI_DT_RELR", True),
])
def test_what_is_newer_than_that_glibc(version, newer):
    assert packages.is_newer(version) == newer


def test_a_newer_glibc_is_refused_and_the_remedy_named(elf, monkeypatch):
    assert "GLIBC_2.2.5" in packages.versions(elf)
    monkeypatch.setattr(packages, "NEWEST_GLIBC", (9, 9))
    assert not [fault for fault in packages.faults("health", elf, "x86_64") if "glibc" in fault]
    monkeypatch.setattr(packages, "NEWEST_GLIBC", (2, 2))
    found = [fault for fault in packages.faults("health", elf, "x86_64") if "glibc" in fault]
    assert found[0].startswith("health needs GLIBC_2.") and "make build ZIG=1" in found[0]


def test_a_library_that_lambda_may_not_have_is_refused(elf, monkeypatch):
    monkeypatch.setattr(packages, "LIBRARIES", packages.libraries(elf))
    assert not [fault for fault in packages.faults("health", elf, "x86_64") if "may not have" in fault]
    monkeypatch.setattr(packages, "LIBRARIES", packages.libraries(elf) - {"libc.so.6"})
    assert [fault for fault in packages.faults("health", elf, "x86_64") if "libc.so.6" in fault]


def test_a_run_makes_packages_equal_and_fails_for_another_architecture(package, monkeypatch):
    everything = {"NEWEST_GLIBC": (9, 9), "LIBRARIES": packages.libraries(ELFFile(package.open("rb")))}
    for name, value in everything.items():
        monkeypatch.setattr(packages, name, value)
    monkeypatch.setattr(sys, "argv", ["packages.py", "x86_64", str(package)])
    packages.main()
    assert package.stat().st_mtime == packages.TIME
    monkeypatch.setattr(sys, "argv", ["packages.py", "arm64", str(package)])
    with pytest.raises(SystemExit, match="start-instance is for x86_64, and not for arm64"):
        packages.main()


def test_what_is_no_binary_or_nothing_at_all_fails_the_run(package):
    assert run("x86_64").returncode == 1
    package.write_text("no binary")
    assert run("x86_64", package).returncode == 1
