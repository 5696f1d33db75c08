"""An instance is removed also if EC2 does not show it yet."""

import time
from types import SimpleNamespace

import pytest
import workers
from botocore.exceptions import ClientError

ID = "i-0123456789abcdef0"


class LaggingEc2:
    """Shows the instance from the third look on."""

    def __init__(self):
        self.looks, self.terminated = 0, []

    def describe_instances(self, InstanceIds):
        self.looks += 1
        if self.looks < 3:
            raise ClientError({"Error": {"Code": "InvalidInstanceID.NotFound", "Message": "not yet"}}, "DescribeInstances")
        state = "terminated" if self.terminated else "running"
        return {"Reservations": [{"Instances": [{"InstanceId": ID, "State": {"Name": state}}]}]}

    def terminate_instances(self, InstanceIds):
        self.terminated += InstanceIds


@pytest.mark.parametrize(("age", "terminated"), [(0, [ID]), (3600, [])])
def test_removal_waits_for_a_recent_launch_but_not_an_old_one(age, terminated):
    ec2 = LaggingEc2()
    run = SimpleNamespace(client=lambda service, region: ec2)
    workers.Instance.remove(run, SimpleNamespace(name=ID, region="us-east-1", at=time.time() - age))
    assert ec2.terminated == terminated
