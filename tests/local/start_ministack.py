"""Starts MiniStack with the machine images of images.json in its EC2, with what the nested stacks need, with CloudWatch's own
answer about a metric without dimensions, and with Lambda's own way to update a function.

MiniStack refuses to launch from an image that was registered, because it would boot that one in a container. Its built-in
images launch, so ours are added to those. `_STUB_AMIS` is a private name: requirements.txt pins the version it was read in.
"""

import json
import pathlib

from ministack.app import main
from ministack.services import ec2

import cloudwatch_in_ministack
import nested_in_ministack
import updates_in_ministack

IMAGES = json.loads(pathlib.Path(__file__).with_name("images.json").read_text(encoding="utf-8"))

ec2._STUB_AMIS[:] = [
    (image["ami_id"], image["name"], image["description"], "", image["root_device_name"], image["owner_id"], None)
    for image in IMAGES
    if image["state"] == "available"  # MiniStack knows no other state
]

cloudwatch_in_ministack.add()
nested_in_ministack.add()
updates_in_ministack.add()

main()
