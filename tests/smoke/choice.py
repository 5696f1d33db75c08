"""What to launch and where, if nobody says: the smallest allowed type, in a subnet of the default VPC."""

import fnmatch
from dataclasses import dataclass

from samtranslator.yaml_helper import yaml_parse

DEFAULT_IMAGE = "ssm:/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"


class Impossible(Exception):
    """Nothing fits; what to name on the command line."""


@dataclass(frozen=True)
class Choice:
    instance_type: str
    subnet_id: str
    patterns: tuple

    def allows(self, instance_type):
        return allows(self.patterns, instance_type)

    def body(self, run, name, **image):
        arguments = run.arguments
        image = image or ({"image_id": arguments.image_id} if arguments.image_id else {"image_name": DEFAULT_IMAGE})
        body = {"name": name, "instance_type": self.instance_type, "subnet_id": self.subnet_id, **image}
        if arguments.security_group_id:
            body["security_group_ids"] = [arguments.security_group_id]
        return body


def default_of(template, parameter):
    document = yaml_parse((template / "template.yaml").read_text(encoding="utf-8"))
    return str(document["Parameters"][parameter]["Default"])


def choose(run):
    arguments = run.arguments
    patterns = (arguments.instance_types or default_of(arguments.template, "AllowedInstanceTypes")).split(",")
    if arguments.instance_type and not allows(patterns, arguments.instance_type):
        raise Impossible(f"{arguments.instance_type} is none of the stack's types {', '.join(patterns)}: "
                         "name its pattern too, by --instance-types (make: INSTANCE_TYPES=)")
    offers = offered(run, patterns)
    subnets = subnets_by_zone(run)
    for instance_type in [arguments.instance_type] if arguments.instance_type else smallest_first(run, offers):
        for zone in sorted(offers.get(instance_type, set())):
            if zone in subnets:
                return Choice(instance_type, subnets[zone], tuple(patterns))
    where = arguments.subnet_id or "the default VPC, if there is one"
    raise Impossible(f"{run.region} offers none of {arguments.instance_type or ', '.join(patterns)} in {where}: "
                     "name --instance-type and --subnet-id")


def allows(patterns, instance_type):
    return any(fnmatch.fnmatchcase(instance_type, pattern) for pattern in patterns)


def offered(run, patterns):
    """The allowed types that the region offers, each with its availability zones."""
    paginator = run.client("ec2").get_paginator("describe_instance_type_offerings")
    offers = {}
    for page in paginator.paginate(LocationType="availability-zone"):
        for offer in page["InstanceTypeOfferings"]:
            if allows(patterns, offer["InstanceType"]):
                offers.setdefault(offer["InstanceType"], set()).add(offer["Location"])
    return offers


def smallest_first(run, offers):
    names, found = sorted(offers), []
    # EC2 takes a hundred names at a time.
    for start in range(0, len(names), 100):
        answer = run.client("ec2").describe_instance_types(InstanceTypes=names[start:start + 100])
        found += [one for one in answer["InstanceTypes"]
                  if "x86_64" in one["ProcessorInfo"].get("SupportedArchitectures", [])]
    return [one["InstanceType"] for one in sorted(found, key=size)]


def size(described):
    return described["VCpuInfo"]["DefaultVCpus"], described["MemoryInfo"]["SizeInMiB"], described["InstanceType"]


def subnets_by_zone(run):
    named = run.arguments.subnet_id
    which = {"SubnetIds": [named]} if named else {"Filters": [{"Name": "default-for-az", "Values": ["true"]}]}
    subnets = run.client("ec2").describe_subnets(**which)["Subnets"]
    return {subnet["AvailabilityZone"]: subnet["SubnetId"] for subnet in subnets}
