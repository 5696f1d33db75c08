"""Reads with AWS's service models what a test run asked of AWS and had AWS answer, from the journals that the tests wrote.

Prints what it read, and each fault once; fails on any, and where there was nothing to read."""

import argparse
import base64
import collections
import datetime
import json
import pathlib
import re
import sys
import xml.etree.ElementTree

import botocore.exceptions
import cbor2

import error_codes
import forbidden
from service_models import Faults, operation, read_document, read_query, read_xml, service_of, tag, tree

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]

# What each request says beside its parameters.
PROTOCOL = {"Action", "Version"}


def read_request(line):
    """The parameters of a request in the model's terms, and what is wrong with them."""
    action, faults = line["request"], Faults()
    shape = operation(action).input_shape
    if service_of(action) == "ec2":
        version = operation(action).service_model.api_version
        if line["params"].get("Version") != version:
            faults.note(action, f"is of version {line['params'].get('Version')} and not {version}")
        params = {name: value for name, value in line["params"].items() if name not in PROTOCOL}
        read = read_query(shape, tree(params), action, faults)
    else:
        read = read_document(shape, decoded(action, line["body"]), action, faults, times(action))
    # Its rows take the model's types for granted.
    for fault in [] if faults else forbidden.faults(action, read):
        faults.note(action, fault)
    return faults


def times(action):
    """What a time is before it is read: CBOR has a type for it, JSON has seconds."""
    return datetime.datetime if service_of(action) == "cloudwatch" else (int, float)


def decoded(action, body):
    body = base64.b64decode(body)
    return cbor2.loads(body) if service_of(action) == "cloudwatch" else json.loads(body)


def read_answer(line):
    """What a test had AWS answer: its kind, and what is wrong with it."""
    action, status, body = line["answer"], line["status"], base64.b64decode(line["body"])
    if not line.get("readable", True):
        return "answers that are meant to be unreadable", []
    faults = Faults()
    if action and service_of(action) != "ec2":
        return read_other_answer(action, status, body, faults)
    document = xml.etree.ElementTree.fromstring(body.decode())
    if status >= 400:
        # A unit test of the table of codes has EC2 say them all, also those of the other services.
        services = ("ec2",) if action else ("ec2", "cloudwatch", "ssm")
        return read_error(document.findtext("Errors/Error/Code"), services, faults)
    action = action or tag(document).removesuffix("Response")
    if tag(document) != f"{action}Response":
        faults.note(action, f"{tag(document)} is no answer of it")
    for request_id in [child for child in document if tag(child) == "requestId"]:
        document.remove(request_id)
    shape = operation(action).output_shape
    # The two that answer nothing but that it is done.
    if shape is None:
        for child in document:
            if (tag(child), child.text) != ("return", "true"):
                faults.note(action, f"{tag(child)} is no answer of it")
    else:
        read_xml(shape, document, action, faults)
    return f"{action} answers", faults


def read_other_answer(action, status, body, faults):
    document = cbor2.loads(body) if service_of(action) == "cloudwatch" else json.loads(body)
    if status >= 400:
        return read_error(document["__type"].rpartition("#")[2], (service_of(action),), faults)
    read_document(operation(action).output_shape, document, action, faults, times(action))
    return f"{action} answers", faults


def read_error(code, services, faults):
    if code is None:
        faults.note(services[0], "writes no error like this")
    elif code not in error_codes.INVENTED and not any(code in error_codes.known(service) for service in services):
        faults.note(services[0], f"has no error code {code} (if AWS has it: error_codes.tsv; if a test invented it: INVENTED)")
    return f"{services[0]} errors", faults


def main(folder):
    files = sorted(folder.glob("*.jsonl"))
    if not files:
        return f"{folder} has no *.jsonl: run the tests with CML_TEST_JOURNAL={folder}, as `make test` does"
    read, faults, places = collections.Counter(), collections.Counter(), {}
    for place, text in lines(files):
        try:
            kind, found = read_line(json.loads(text))
        except UNREADABLE as error:
            kind, found = "unreadable lines", [f"{text[:120]}: {error!r}"]
        read[kind] += 1
        faults.update(found)
        places.update({fault: place for fault in found if fault not in places})
    report(read, faults, places)
    return 1 if faults or missing(read) else 0


# What a line can be that was cut, or that a test wrote with something else than a document in it.
UNREADABLE = (
    botocore.exceptions.BotoCoreError, botocore.model.OperationNotFoundError, cbor2.CBORDecodeError, xml.etree.ElementTree.ParseError,
    AttributeError, KeyError, TypeError, ValueError,
)


def lines(files):
    """Each different line of the files, with its place."""
    for file in files:
        seen = set()
        for number, text in enumerate(file.read_text(encoding="utf-8").split("\n"), 1):
            # Not splitlines, which also splits at characters that JSON writes as they are.
            if text and text not in seen:
                seen.add(text)
                yield f"{file.name}:{number}", text


def read_line(line):
    """What a line is, and what is wrong with it."""
    return (f"{line['request']} requests", read_request(line)) if "request" in line else read_answer(line)


def actions():
    """The actions that the functions call, from the table that ties each to its permission."""
    source = (REPOSITORY / "shared/src/aws/errors/mod.rs").read_text(encoding="utf-8")
    return re.findall(r'Error => "(?:ec2|cloudwatch|ssm):([A-Za-z]+)"', source)


def missing(read):
    """What nothing was read of. Each operation that a function calls has requests, and answers that a test wrote."""
    return [kind for action in actions() for kind in (f"{action} requests", f"{action} answers") if not read[kind]] + [
        kind for kind in ("ec2 errors", "cloudwatch errors", "ssm errors") if not read[kind]] + [
        f"requests about: {row[3]}" for row in forbidden.TABLE if not forbidden.LOOKED_AT[row[1:4]]]


def report(read, faults, places):
    for kind, count in sorted(read.items()):
        print(f"read back: {count:6} {kind}")
    print(f"read back: {sum(forbidden.LOOKED_AT.values()):6} looks for {len(forbidden.TABLE)} combinations that AWS forbids")
    for fault, count in faults.most_common():
        print(f"fault, {count} times, first in {places[fault]}: {fault}", file=sys.stderr)
    for kind in missing(read):
        print(f"nothing to read: {kind}", file=sys.stderr)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Reads what a test run asked of AWS and had AWS answer with AWS's service models.")
    parser.add_argument("folder", type=pathlib.Path, help="where the tests wrote their journals, CML_TEST_JOURNAL")
    sys.exit(main(parser.parse_args().folder))
