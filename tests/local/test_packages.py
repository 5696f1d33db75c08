import os
import pathlib
import subprocess
import sys
import time

import pytest
from awscli.customizations.cloudformation.artifact_exporter import make_zip
from elftools.elf.elffile import ELFFile

import packages

# A program of this machine, linked dynamically, as a function is.
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


def test_a_newer_glibc_is_refused_and_the_remedy_named(elf, monkeypatch):
    needed = packages.glibc(elf)
    assert needed > (2, 2)
    monkeypatch.setattr(packages, "NEWEST_GLIBC", needed)
    assert not [fault for fault in packages.faults("health", elf) if "glibc" in fault]
    monkeypatch.setattr(packages, "NEWEST_GLIBC", (needed[0], needed[1] - 1))
    [fault] = [fault for fault in packages.faults("health", elf) if "glibc" in fault]
    assert fault.startswith(f"health needs glibc {needed[0]}.{needed[1]}, ") and "make build ZIG=1" in fault


def test_a_library_that_lambda_may_not_have_is_refused(elf, monkeypatch):
    monkeypatch.setattr(packages, "LIBRARIES", packages.libraries(elf))
    assert not [fault for fault in packages.faults("health", elf) if "may not have" in fault]
    monkeypatch.setattr(packages, "LIBRARIES", packages.libraries(elf) - {"libc.so.6"})
    assert [fault for fault in packages.faults("health", elf) if "libc.so.6" in fault]


def test_an_architecture_that_lambda_does_not_have_is_refused(elf, monkeypatch):
    monkeypatch.setattr(packages, "ARCHITECTURES", {"EM_S390": "s390x"})
    assert any("Lambda has s390x" in fault for fault in packages.faults("health", elf))


def test_what_is_no_binary_or_nothing_at_all_fails_the_run(package):
    assert run().returncode == 1
    package.write_text("no binary")
    assert run(package).returncode == 1
