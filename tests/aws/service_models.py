"""AWS's service models, as botocore ships them, and values read with their shapes."""

import datetime
import functools
import html
import math
import re

import botocore.loaders
import botocore.model

SERVICES = {
    "GetMetricStatistics": "cloudwatch",
    "GetParameter": "ssm",
}


@functools.cache
def model(service):
    return botocore.model.ServiceModel(botocore.loaders.Loader().load_service_model(service, "service-2"), service)


def service_of(action):
    """EC2 has all actions but these."""
    return SERVICES.get(action, "ec2")


@functools.cache
def operation(action):
    """The operation's model; botocore.model.OperationNotFoundError if the service has no such operation."""
    return model(service_of(action)).operation_model(action)


def documentation(shape, member):
    """What the EC2, CloudWatch or Systems Manager model says of a shape's member, or of the operation `shape`, as plain text."""
    if member is None:
        return plain(operation(shape).documentation)
    for service in ("ec2", "cloudwatch", "ssm"):
        if shape in model(service).shape_names:
            return plain(model(service).shape_for(shape).members[member].documentation)
    raise KeyError(shape)


def plain(text):
    return " ".join(re.sub(r"<[^>]+>", "", text).split())


@functools.cache
def documented_filters(action):
    """The names of an EC2 operation's filters, which are in its documentation alone."""
    filters = operation(action).input_shape.members.get("Filters") if service_of(action) == "ec2" else None
    names = re.findall(r"<li> <p> <code>([^<]+)</code>", filters.documentation) if filters else []
    return {html.unescape(name) for name in names}


class Faults(list):
    """What is wrong, each with the place."""

    def note(self, place, what):
        self.append(f"{place}: {what}")


def read_scalar(shape, value, place, faults):
    """A value of a leaf shape, as Python has it; text where the protocol has text only."""
    readers = {
        "string": read_string, "integer": read_integer, "long": read_integer, "boolean": read_boolean,
        "timestamp": read_timestamp, "double": read_number,
    }
    if shape.type_name not in readers:
        return faults.note(place, f"is {value!r} and should be a {shape.type_name}")
    return readers[shape.type_name](shape, value, place, faults)


def read_string(shape, value, place, faults):
    if not isinstance(value, str):
        return faults.note(place, f"{value!r} is no text")
    if shape.enum and value not in shape.enum:
        faults.note(place, f"{value!r} is none of {shape.enum if len(shape.enum) < 12 else shape.name}")
    in_range(shape, len(value), place, faults, "characters")
    pattern = shape.metadata.get("pattern")
    if pattern and not re.fullmatch(pattern, value):
        faults.note(place, f"{value!r} does not match {pattern}")
    return value


def read_integer(shape, value, place, faults):
    if isinstance(value, bool) or not re.fullmatch(r"-?[0-9]{1,19}", str(value)):
        return faults.note(place, f"{value!r} is no whole number")
    if shape.type_name == "integer" and not -2**31 <= int(value) < 2**31:
        faults.note(place, f"{value} has more than 32 bits")
    in_range(shape, int(value), place, faults, "")
    return int(value)


def read_number(shape, value, place, faults):
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    return number if math.isfinite(number) else faults.note(place, f"{value!r} is no number")


def read_boolean(shape, value, place, faults):
    if value not in (True, False, "true", "false"):
        return faults.note(place, f"{value!r} is neither true nor false")
    return value in (True, "true")


def read_timestamp(shape, value, place, faults):
    try:
        return datetime.datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return faults.note(place, f"{value!r} is no time")


def in_range(shape, number, place, faults, of):
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if low is not None and number < float(low) or high is not None and number > float(high):
        faults.note(place, f"{number} {of} is not between {low} and {high}")


def all_required(shape, found, place, faults):
    for name in shape.required_members:
        if name not in found:
            faults.note(place, f"{name} is required")


def read_document(shape, value, place, faults, times):
    """A value of CBOR or JSON."""
    if shape.type_name == "structure":
        if not isinstance(value, dict):
            return faults.note(place, f"{value!r} is no structure")
        members = {name: read_document(shape.members[name], member, f"{place}.{name}", faults, times)
                   for name, member in value.items() if name in shape.members}
        for name in value.keys() - shape.members.keys():
            faults.note(place, f"{name} is no member of {shape.name}")
        all_required(shape, members, place, faults)
        return members
    if shape.type_name == "list":
        if not isinstance(value, list):
            return faults.note(place, f"{value!r} is no list")
        in_range(shape, len(value), place, faults, "elements")
        return [read_document(shape.member, member, f"{place}[{n}]", faults, times) for n, member in enumerate(value)]
    kinds = {"string": str, "integer": int, "long": int, "boolean": bool, "double": (int, float), "timestamp": times}
    if not isinstance(value, kinds[shape.type_name]) or isinstance(value, bool) and shape.type_name != "boolean":
        return faults.note(place, f"{value!r} is no {shape.type_name} but a {type(value).__name__}")
    return value if shape.type_name == "timestamp" else read_scalar(shape, value, place, faults)


def tree(params):
    """`{"Filter.1.Name": "x"}` as `{"Filter": {"1": {"Name": "x"}}}`."""
    root = {}
    for name, value in params.items():
        *path, leaf = name.split(".")
        node = root
        for part in path:
            node = node.setdefault(part, {})
            if not isinstance(node, dict):
                raise ValueError(f"{name} is below a value")
        if leaf in node:
            raise ValueError(f"{name} is a value and more")
        node[leaf] = value
    return root


def query_name(name, shape):
    """EC2's name of a member in a request: its own, or that of its answers in upper case."""
    serialization = shape.serialization
    if "queryName" in serialization:
        return serialization["queryName"]
    name = serialization.get("name", name)
    return name[0].upper() + name[1:]


def read_query(shape, value, place, faults):
    """A value of EC2's query protocol, as a tree."""
    if shape.type_name == "structure":
        if not isinstance(value, dict):
            return faults.note(place, f"{value!r} is no structure")
        names = {query_name(name, member): name for name, member in shape.members.items()}
        for name in value.keys() - names.keys():
            faults.note(place, f"{name} is no member of {shape.name}")
        members = {names[name]: read_query(shape.members[names[name]], member, f"{place}.{name}", faults)
                   for name, member in value.items() if name in names}
        all_required(shape, members, place, faults)
        return members
    if shape.type_name == "list":
        if not isinstance(value, dict) or sorted(value, key=len) and set(value) != {str(n) for n in range(1, len(value) + 1)}:
            return faults.note(place, f"{value!r} is no list, numbered from 1")
        in_range(shape, len(value), place, faults, "elements")
        return [read_query(shape.member, value[str(n)], f"{place}.{n}", faults) for n in range(1, len(value) + 1)]
    if isinstance(value, dict):
        return faults.note(place, f"{value!r} is a structure and should be a {shape.type_name}")
    return read_scalar(shape, value, place, faults)


def tag(element):
    """An element's name without its namespace."""
    return element.tag.rpartition("}")[2]


def read_xml(shape, element, place, faults):
    """A value of EC2's answers."""
    if shape.type_name == "structure":
        names = {member.serialization.get("name", name): name for name, member in shape.members.items()}
        members = {}
        for child in element:
            if tag(child) not in names:
                faults.note(place, f"{tag(child)} is no member of {shape.name}")
                continue
            name = names[tag(child)]
            if name in members:
                faults.note(place, f"{tag(child)} is there twice")
            members[name] = read_xml(shape.members[name], child, f"{place}.{tag(child)}", faults)
        return members
    if shape.type_name == "list":
        item = shape.member.serialization.get("name", "member")
        for child in element:
            if tag(child) != item:
                faults.note(place, f"{tag(child)} is no {item}")
        return [read_xml(shape.member, child, f"{place}[{n}]", faults) for n, child in enumerate(element)]
    if len(element):
        return faults.note(place, f"has elements and should be a {shape.type_name}")
    text = element.text or ""
    # EC2 writes an empty element for a text that it does not have, whatever the text may be.
    if text == "" and shape.type_name == "string":
        return ""
    return read_scalar(shape, text, place, faults)
