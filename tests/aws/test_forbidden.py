"""Each row of what AWS forbids quotes a sentence that is still in the service model, and holds against a request that breaks it."""

import pytest

import forbidden
from service_models import documentation, documented_filters


def volume(**of):
    return {"BlockDeviceMappings": [{"DeviceName": "/dev/sda1", "Ebs": of}]}


def interface(**of):
    return {"NetworkInterfaces": [{"DeviceIndex": 0, **of}], "MaxCount": 1}


def market(**of):
    return {"InstanceMarketOptions": {"MarketType": "spot", "SpotOptions": of}}


# A request that breaks each row, in the order of the rows.
BROKEN = [
    interface() | {"SecurityGroupIds": ["sg-1"]},
    interface() | {"SubnetId": "subnet-1"},
    interface() | {"PrivateIpAddress": "10.0.0.4"},
    {"PrivateIpAddress": "10.0.0.4", "MaxCount": 2},
    {"ClientToken": "t" * 65},
    {"TagSpecifications": [{"ResourceType": "image"}]},
    {"NetworkInterfaces": [{"SubnetId": "subnet-1"}]},
    interface(AssociatePublicIpAddress=True) | {"NetworkInterfaces": [{"DeviceIndex": 1, "AssociatePublicIpAddress": True}]},
    {"NetworkInterfaces": [{"DeviceIndex": 0, "AssociatePublicIpAddress": True}, {"DeviceIndex": 1}]},
    interface(PrivateIpAddress="10.0.0.4") | {"MaxCount": 2},
    volume(VolumeType="io1"),
    volume(VolumeType="gp3", Iops=2999),
    volume(VolumeType="io1", Iops=64001),
    volume(VolumeType="io2", Iops=99),
    volume(VolumeType="gp2", VolumeSize=16385),
    volume(VolumeType="gp3", VolumeSize=65537),
    volume(VolumeType="io1", VolumeSize=3, Iops=100),
    volume(VolumeType="io2", VolumeSize=3, Iops=100),
    volume(VolumeType="st1", VolumeSize=124),
    volume(VolumeType="sc1", VolumeSize=124),
    volume(VolumeType="standard", VolumeSize=1025),
    volume(VolumeType="gp2", Throughput=125),
    volume(VolumeType="gp3", Throughput=124),
    volume(Encrypted=False, KmsKeyId="alias/key"),
    market(InstanceInterruptionBehavior="terminate") | {"HibernationOptions": {"Configured": True}},
    market(SpotInstanceType="persistent", InstanceInterruptionBehavior="terminate"),
    market(SpotInstanceType="one-time", ValidUntil="2026-01-01T00:00:00Z"),
    market(MaxPrice="0.001"),
    {"MetadataOptions": {"HttpPutResponseHopLimit": 65}},
    {"CpuOptions": {"ThreadsPerCore": 3}},
    {"Placement": {"HostResourceGroupArn": "arn:aws:resource-groups:us-east-1:123456789012:group/a", "Tenancy": "default"}},
    {"MaxResults": 5, "InstanceIds": ["i-1"]},
    {"MaxResults": 5, "InstanceIds": ["i-1"]},
    {"InstanceIds": ["i-1"] * 101},
    {"MaxResults": 4},
    {"Tags": [{"Key": "a"}]},
    {"Tags": []},
    {"Statistics": ["Average"], "ExtendedStatistics": ["p99"], "Period": 60},
    {"Statistics": ["Average"], "Period": 90},
]


@pytest.mark.parametrize("row", forbidden.TABLE, ids=lambda row: f"{row[1]}.{row[2]}")
def test_the_sentence_is_still_in_the_service_model(row):
    _, shape, member, sentence, _ = row
    assert sentence in documentation(shape, member)


@pytest.mark.parametrize("number", range(len(forbidden.TABLE)))
def test_a_request_that_breaks_the_row_is_noticed_by_it(number):
    action, shape, member, sentence, _ = forbidden.TABLE[number]
    assert f"{shape}.{member}: {sentence}" in forbidden.faults(action, BROKEN[number])


def test_there_is_a_broken_request_for_each_row():
    assert len(BROKEN) == len(forbidden.TABLE)


def test_a_filter_that_no_documentation_has_is_noticed():
    assert {"client-token", "instance-id", "tag:<key>"} - documented_filters("DescribeInstances") == {"tag:<key>"}
    filters = {"Filters": [{"Name": "tag:Lab", "Values": ["a"]}, {"Name": "instance-ids", "Values": ["i-1"]}]}
    assert forbidden.faults("DescribeInstances", filters) == ["no filter instance-ids"]
