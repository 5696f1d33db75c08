"""Lets a tag say what moto cannot show: how old an instance is, and that a status check fails.

    demo:launched   when the instance was launched, RFC 3339; without it, when moto launched it
    demo:impaired   since when its instance status check fails, RFC 3339; without it, the check is passed

moto's launches are all of now, and its status checks are always passed. The sweep has nothing to say about either. The names
used are moto's internals: requirements.txt pins the version they were read in.
"""

import datetime

from moto.ec2.models.instances import Instance

LAUNCHED, IMPAIRED = "demo:launched", "demo:impaired"

passed = Instance.instance_status.fget


def moment(instance, key):
    # Not get_tags: it goes through the tags of all instances.
    value = instance.ec2_backend.tags.get(instance.id, {}).get(key)
    # moto's times are in UTC and do not say so.
    return value and datetime.datetime.fromisoformat(value).astimezone(datetime.timezone.utc).replace(tzinfo=None)


def launch_time(instance):
    return moment(instance, LAUNCHED) or instance._launch_time


def set_launch_time(instance, time):
    instance._launch_time = time


def instance_status(instance):
    since = moment(instance, IMPAIRED) if instance.state == "running" else None
    if since is None:
        return passed(instance)
    return {"Status": "impaired", "Details": [{"Name": "reachability", "Status": "failed", "ImpairedSince": since}]}


def add():
    Instance.launch_time = property(launch_time, set_launch_time)
    Instance.instance_status = property(instance_status)
