"""Instances as things to remove: by their id, by a launch that was never answered, and by this run's tag."""

import time

from progress import until
from run import unless_absent

ABSENT = ("InvalidInstanceID.NotFound", "InvalidInstanceID.Malformed")
GONE_STATES = ("shutting-down", "terminated")
TERMINATION_SECONDS = 10 * 60
# A function runs 27 seconds at most, and EC2 shows what it launched some seconds later.
LAUNCH_SECONDS = 45


def with_ids(run, region, ids):
    ec2 = run.client("ec2", region)
    answer = unless_absent(ec2.describe_instances, *ABSENT, InstanceIds=ids)
    return [] if answer is None else flat([answer])


def with_tag(run, region, value):
    filters = [{"Name": "tag:ManagedBy", "Values": [value]}]
    return flat(run.client("ec2", region).get_paginator("describe_instances").paginate(Filters=filters))


def alive(run, region):
    """All instances of a region, anybody's, but those that are on their way out."""
    instances = flat(run.client("ec2", region).get_paginator("describe_instances").paginate())
    return [instance for instance in instances if state(instance) not in GONE_STATES]


def flat(pages):
    return [instance for page in pages for reservation in page["Reservations"] for instance in reservation["Instances"]]


def state(instance):
    return instance["State"]["Name"]


def terminate(run, region, instances):
    """Terminates those that still run, and waits until they are gone: what is on its way out may still be paid for."""
    ids = [instance["InstanceId"] for instance in instances]
    running = [instance["InstanceId"] for instance in instances if state(instance) not in GONE_STATES]
    if running:
        run.client("ec2", region).terminate_instances(InstanceIds=running)
    if ids:
        until(lambda: all(state(one) == "terminated" for one in with_ids(run, region, ids)), TERMINATION_SECONDS)


class Instance:
    """Its id was answered."""

    @staticmethod
    def is_there(run, entry):
        return any(state(one) != "terminated" for one in with_ids(run, entry.region, [entry.name]))

    @staticmethod
    def remove(run, entry):
        # One that is not shown yet is no missing one: EC2's reads lag behind its launches.
        left = max(0.0, entry.at + LAUNCH_SECONDS - time.time())
        terminate(run, entry.region, until(lambda: with_ids(run, entry.region, [entry.name]), left))

    @staticmethod
    def how_to_remove(entry):
        return f"aws ec2 terminate-instances --region {entry.region} --instance-ids {entry.name}"


class Launch:
    """It was sent, and the answer never read: for as long as a function can still run it is looked for."""

    @staticmethod
    def is_there(run, entry):
        return any(state(one) != "terminated" for one in tagged(run, entry))

    @staticmethod
    def remove(run, entry):
        answered = {instance.name for instance in run.ledger.of(entry.run, "instance")}
        left = max(0.0, entry.at + LAUNCH_SECONDS - time.time())
        until(lambda: any(one["InstanceId"] not in answered for one in tagged(run, entry)), left)
        terminate(run, entry.region, tagged(run, entry))

    @staticmethod
    def how_to_remove(entry):
        return f"terminate the instances with the tag ManagedBy={tag_of(entry)} in {entry.region}"


class Tagged:
    """Whatever has this run's ownership tag, looked for once the functions are gone that could launch more."""

    @staticmethod
    def is_there(run, entry):
        return any(state(one) != "terminated" for one in tagged(run, entry)) or bool(volumes(run, entry))

    @staticmethod
    def remove(run, entry):
        terminate(run, entry.region, tagged(run, entry))
        until(lambda: are_deleted(run, entry), TERMINATION_SECONDS)

    @staticmethod
    def how_to_remove(entry):
        return f"terminate the instances and delete the volumes with the tag ManagedBy={entry.name} in {entry.region}"


def volumes(run, entry):
    """An image can say that a volume outlives its instance."""
    filters = [{"Name": "tag:ManagedBy", "Values": [tag_of(entry)]}]
    return run.client("ec2", entry.region).describe_volumes(Filters=filters)["Volumes"]


def are_deleted(run, entry):
    found = volumes(run, entry)
    for volume in found:
        if volume["State"] == "available":
            delete = run.client("ec2", entry.region).delete_volume
            unless_absent(delete, "InvalidVolume.NotFound", VolumeId=volume["VolumeId"])
    return not found


def tag_of(entry):
    return entry.details.get("managed_by", entry.name)


def tagged(run, entry):
    return with_tag(run, entry.region, tag_of(entry))
