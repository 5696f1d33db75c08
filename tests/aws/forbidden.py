"""Combinations of parameters that AWS forbids only in its documentation's text. Each row quotes the sentence; a test looks it up in
the service model."""

import collections
import datetime

from service_models import documented_filters

# How the documentation writes the filters of tags.
TAG = "tag:<key>"

# How many requests a row was about.
LOOKED_AT = collections.Counter()


def given(params, *names):
    """Whether all these parameters are there."""
    return all(name in params for name in names)


def volumes(params):
    """The volumes that a launch asks for."""
    return [mapping.get("Ebs", {}) for mapping in params.get("BlockDeviceMappings", [])]


def interfaces(params):
    return params.get("NetworkInterfaces", [])


def spot(params):
    return params.get("InstanceMarketOptions", {}).get("SpotOptions", {})


def out_of(low, high, number):
    return number is not None and not low <= number <= high


class Bounds:
    """That a member of the volumes of one type is between two bounds."""

    def __init__(self, kind, member, low, high):
        self.kind, self.member, self.low, self.high = kind, member, low, high

    def __call__(self, params):
        return any(v.get("VolumeType") == self.kind and out_of(self.low, self.high, v.get(self.member)) for v in volumes(params))

    def broken(self):
        """A request for each bound, on the second volume."""
        first = {"DeviceName": "/dev/sda1", "Ebs": {"VolumeType": self.kind, "Iops": 3000, "VolumeSize": 500}}
        second = [first["Ebs"] | {self.member: number} for number in (self.low - 1, self.high + 1)]
        return [{"BlockDeviceMappings": [first, {"DeviceName": "/dev/sdf", "Ebs": ebs}]} for ebs in second]


# Requests that break a row, or the part of them that does.


def with_volume(**of):
    return {"BlockDeviceMappings": [{"DeviceName": "/dev/sda1", "Ebs": of}]}


def with_interface(**of):
    return {"NetworkInterfaces": [{"DeviceIndex": 0, **of}], "MaxCount": 1}


def with_spot(**of):
    return {"InstanceMarketOptions": {"MarketType": "spot", "SpotOptions": of}}


TWO_HOURS = {"StartTime": datetime.datetime(2026, 1, 1), "EndTime": datetime.datetime(2026, 1, 1, 2)}
WITH_INTERFACE = "If you specify a network interface, you must specify any {} as part of the network interface instead of using this parameter."
IDS_OR_PAGES = "You cannot specify this parameter and the instance IDs parameter in the same request."
LAUNCHED_ALONE = "You cannot specify this option if you're launching more than one instance in "

# Action, the member that the sentence stands at, the sentence, whether a request breaks it, and one that does, or several. What is
# about bounds makes its own.
TABLE = [
    ("RunInstances", "RunInstancesRequest", "SecurityGroupIds", WITH_INTERFACE.format("security groups"),
     lambda p: interfaces(p) and given(p, "SecurityGroupIds"),
     with_interface() | {"SecurityGroupIds": ["sg-1"]}),
    ("RunInstances", "RunInstancesRequest", "SubnetId", WITH_INTERFACE.format("subnets"),
     lambda p: interfaces(p) and given(p, "SubnetId"),
     with_interface() | {"SubnetId": "subnet-1"}),
    ("RunInstances", "RunInstancesRequest", "PrivateIpAddress",
     "You cannot specify this option and the network interfaces option in the same request.",
     lambda p: interfaces(p) and given(p, "PrivateIpAddress"),
     with_interface() | {"PrivateIpAddress": "10.0.0.4"}),
    ("RunInstances", "RunInstancesRequest", "PrivateIpAddress", LAUNCHED_ALONE + "the request.",
     lambda p: given(p, "PrivateIpAddress") and p["MaxCount"] != 1,
     {"PrivateIpAddress": "10.0.0.4", "MaxCount": 2}),
    ("RunInstances", "RunInstancesRequest", "ClientToken", "Constraints: Maximum 64 ASCII characters",
     lambda p: len(p.get("ClientToken", "")) > 64 or not p.get("ClientToken", "").isascii(),
     [{"ClientToken": "t" * 65}, {"ClientToken": "t\u00fc"}]),
    ("RunInstances", "RunInstancesRequest", "TagSpecifications",
     "You can specify tags for the following resources only: Instances Volumes Spot Instance requests Network interfaces",
     lambda p: {s["ResourceType"] for s in p.get("TagSpecifications", [])}
     - {"instance", "volume", "spot-instances-request", "network-interface"},
     {"TagSpecifications": [{"ResourceType": "image"}]}),
    ("RunInstances", "InstanceNetworkInterfaceSpecification", "DeviceIndex",
     "If you specify a network interface when launching an instance, you must specify the device index.",
     lambda p: any("DeviceIndex" not in i for i in interfaces(p)),
     {"NetworkInterfaces": [{"SubnetId": "subnet-1"}]}),
    ("RunInstances", "InstanceNetworkInterfaceSpecification", "AssociatePublicIpAddress",
     "The public IP address can only be assigned to a network interface for eth0, and can only be assigned to a new network interface, "
     "not an existing one.",
     lambda p: any("AssociatePublicIpAddress" in i and (i.get("DeviceIndex") != 0 or "NetworkInterfaceId" in i) for i in interfaces(p)),
     with_interface(AssociatePublicIpAddress=True) | {"NetworkInterfaces": [{"DeviceIndex": 1, "AssociatePublicIpAddress": True}]}),
    ("RunInstances", "InstanceNetworkInterfaceSpecification", "AssociatePublicIpAddress",
     "You cannot specify more than one network interface in the request.",
     lambda p: any("AssociatePublicIpAddress" in i for i in interfaces(p)) and len(interfaces(p)) > 1,
     {"NetworkInterfaces": [{"DeviceIndex": 0, "AssociatePublicIpAddress": True}, {"DeviceIndex": 1}]}),
    ("RunInstances", "InstanceNetworkInterfaceSpecification", "PrivateIpAddress", LAUNCHED_ALONE + "a RunInstances request.",
     lambda p: any("PrivateIpAddress" in i for i in interfaces(p)) and p["MaxCount"] != 1,
     with_interface(PrivateIpAddress="10.0.0.4") | {"MaxCount": 2}),
    ("RunInstances", "EbsBlockDevice", "Iops", "This parameter is required for io1 and io2 volumes.",
     lambda p: any(v.get("VolumeType") in ("io1", "io2") and "Iops" not in v for v in volumes(p)),
     with_volume(VolumeType="io1")),
    ("RunInstances", "EbsBlockDevice", "Iops", "gp3: 3,000 - 80,000 IOPS", Bounds("gp3", "Iops", 3000, 80000), None),
    ("RunInstances", "EbsBlockDevice", "Iops", "io1: 100 - 64,000 IOPS", Bounds("io1", "Iops", 100, 64000), None),
    ("RunInstances", "EbsBlockDevice", "Iops", "io2: 100 - 256,000 IOPS", Bounds("io2", "Iops", 100, 256000), None),
    ("RunInstances", "EbsBlockDevice", "VolumeSize", "gp2: 1 - 16,384 GiB", Bounds("gp2", "VolumeSize", 1, 16384), None),
    ("RunInstances", "EbsBlockDevice", "VolumeSize", "gp3: 1 - 65,536 GiB", Bounds("gp3", "VolumeSize", 1, 65536), None),
    ("RunInstances", "EbsBlockDevice", "VolumeSize", "io1: 4 - 16,384 GiB", Bounds("io1", "VolumeSize", 4, 16384), None),
    ("RunInstances", "EbsBlockDevice", "VolumeSize", "io2: 4 - 65,536 GiB", Bounds("io2", "VolumeSize", 4, 65536), None),
    ("RunInstances", "EbsBlockDevice", "VolumeSize", "st1 and sc1: 125 - 16,384 GiB", Bounds("st1", "VolumeSize", 125, 16384), None),
    ("RunInstances", "EbsBlockDevice", "VolumeSize", "st1 and sc1: 125 - 16,384 GiB", Bounds("sc1", "VolumeSize", 125, 16384), None),
    ("RunInstances", "EbsBlockDevice", "VolumeSize", "standard: 1 - 1024 GiB", Bounds("standard", "VolumeSize", 1, 1024), None),
    ("RunInstances", "EbsBlockDevice", "Throughput", "This parameter is valid only for gp3 volumes.",
     lambda p: any("Throughput" in v and v.get("VolumeType") != "gp3" for v in volumes(p)),
     with_volume(VolumeType="gp2", Throughput=125)),
    ("RunInstances", "EbsBlockDevice", "Throughput", "Valid Range: Minimum value of 125. Maximum value of 2,000.",
     lambda p: any(out_of(125, 2000, v.get("Throughput")) for v in volumes(p)),
     with_volume(VolumeType="gp3", Throughput=124)),
    ("RunInstances", "EbsBlockDevice", "Encrypted", "In no case can you remove encryption from an encrypted volume.",
     lambda p: any(v.get("Encrypted") is False and "KmsKeyId" in v for v in volumes(p)),
     with_volume(Encrypted=False, KmsKeyId="alias/key")),
    ("RunInstances", "SpotMarketOptions", "InstanceInterruptionBehavior", "If you set it to stop or terminate, you'll get an error.",
     lambda p: p.get("HibernationOptions", {}).get("Configured") and "InstanceInterruptionBehavior" in spot(p),
     with_spot(InstanceInterruptionBehavior="terminate") | {"HibernationOptions": {"Configured": True}}),
    ("RunInstances", "SpotMarketOptions", "SpotInstanceType",
     "persistent Spot Instance requests are only supported when the instance interruption behavior is either hibernate or stop.",
     lambda p: spot(p).get("SpotInstanceType") == "persistent" and spot(p).get("InstanceInterruptionBehavior") == "terminate",
     with_spot(SpotInstanceType="persistent", InstanceInterruptionBehavior="terminate")),
    ("RunInstances", "SpotMarketOptions", "MaxPrice", "If you specify a maximum price, it must be more than USD $0.001.",
     lambda p: "MaxPrice" in spot(p) and float(spot(p)["MaxPrice"]) <= 0.001,
     with_spot(MaxPrice="0.001")),
    ("RunInstances", "InstanceMetadataOptionsRequest", "HttpPutResponseHopLimit", "Possible values: Integers from 1 to 64",
     lambda p: out_of(1, 64, p.get("MetadataOptions", {}).get("HttpPutResponseHopLimit")),
     {"MetadataOptions": {"HttpPutResponseHopLimit": 65}}),
    ("RunInstances", "CpuOptionsRequest", "ThreadsPerCore",
     "To disable multithreading for the instance, specify a value of 1. Otherwise, specify the default value of 2.",
     lambda p: p.get("CpuOptions", {}).get("ThreadsPerCore", 1) not in (1, 2),
     {"CpuOptions": {"ThreadsPerCore": 3}}),
    ("DescribeInstances", "DescribeInstancesRequest", "MaxResults", IDS_OR_PAGES, lambda p: given(p, "MaxResults", "InstanceIds"),
     {"MaxResults": 5, "InstanceIds": ["i-1"]}),
    ("DescribeInstanceStatus", "DescribeInstanceStatusRequest", "MaxResults", IDS_OR_PAGES,
     lambda p: given(p, "MaxResults", "InstanceIds"),
     {"MaxResults": 5, "InstanceIds": ["i-1"]}),
    ("DescribeInstanceStatus", "DescribeInstanceStatusRequest", "InstanceIds",
     "Constraints: Maximum 100 explicitly specified instance IDs.", lambda p: len(p.get("InstanceIds", [])) > 100,
     {"InstanceIds": ["i-1"] * 101}),
    ("DescribeTags", "DescribeTagsRequest", "MaxResults", "This value can be between 5 and 1000.", lambda p: out_of(5, 1000, p.get("MaxResults")),
     {"MaxResults": 4}),
    ("CreateTags", "CreateTagsRequest", "Tags", "The value parameter is required",
     lambda p: any("Value" not in t for t in p["Tags"]),
     {"Tags": [{"Key": "a"}]}),
    ("DeleteTags", "DeleteTagsRequest", "Tags", "If you omit this parameter, we delete all user-defined tags for the specified resources.",
     lambda p: not p.get("Tags"),
     {"Tags": []}),
    ("GetMetricStatistics", "GetMetricStatisticsInput", "Statistics",
     "When calling GetMetricStatistics, you must specify either Statistics or ExtendedStatistics, but not both.",
     lambda p: given(p, "Statistics") == given(p, "ExtendedStatistics"),
     TWO_HOURS | {"Statistics": ["Average"], "ExtendedStatistics": ["p99"], "Period": 60}),
    ("GetMetricStatistics", "GetMetricStatistics", None, "The maximum number of data points returned from a single call is 1,440.",
     lambda p: (p["EndTime"] - p["StartTime"]).total_seconds() > 1440 * p["Period"],
     {"Statistics": ["Average"], "Period": 60, "StartTime": datetime.datetime(2026, 1, 1), "EndTime": datetime.datetime(2026, 1, 2, 0, 1)}),
    ("GetMetricStatistics", "GetMetricStatisticsInput", "Period",
     "For metrics with regular resolution, a period can be as short as one minute (60 seconds) and must be a multiple of 60.",
     lambda p: p["Period"] % 60 != 0,
     TWO_HOURS | {"Statistics": ["Average"], "Period": 90}),
]


def undocumented_filters(action, params):
    """Names of filters that the operation's documentation does not have; EC2 refuses them."""
    names = [one.get("Name", "") for one in params.get("Filters", [])]
    documented = documented_filters(action)
    return [name for name in names if (TAG if name.startswith("tag:") else name) not in documented]


def broken_by(row):
    """Requests that break a row."""
    made = row[5] if row[5] is not None else row[4].broken()
    return made if isinstance(made, list) else [made]


def is_about(row, params):
    """Whether a request has what a row speaks of."""
    if isinstance(row[4], Bounds):
        return any(v.get("VolumeType") == row[4].kind and row[4].member in v for v in volumes(params))
    return row[2] is None or row[2] in names(params)


def names(params):
    """The names of all members, however deep."""
    if isinstance(params, list):
        return {name for member in params for name in names(member)}
    return params.keys() | names(list(params.values())) if isinstance(params, dict) else set()


def faults(action, params):
    """What the request breaks, each sentence with its member."""
    found = [f"no filter {name}" for name in undocumented_filters(action, params)]
    for row in TABLE:
        about, shape, member, sentence, breaks, _ = row
        if about == action:
            LOOKED_AT[shape, member, sentence] += is_about(row, params)
            if breaks(params):
                found.append(f"{shape}.{member}: {sentence}" if member else f"{shape}: {sentence}")
    return found
