"""Compares CML Cloud Manager's own EC2 client (the seed) with this API on the same EC2, for the 13 operations.

Run by hand, with `make run` in another terminal:

    git clone https://github.com/bvandewe/CML-Cloud-Manager ../seed
    .venv/bin/python tests/compare_with_seed.py ../seed [target/local/stack.json]

Every fact that both report is compared: documents field by field, what became of the instance after each change, and
how each refuses what cannot be done. A difference is either listed in DIFFERENCES, with the reason and AWS's own
sentence, or the run fails; it also fails if a listed one is not met. Sentences of the API reference are looked up in
botocore's copy of it. Those of other pages (`url`) were read by hand and are not looked up.

The seed's code is loaded from the checkout, as it is, and nothing of it is kept here. It was compared at commit
89d60c8. The script creates and terminates instances, so it refuses every stack that is not on 127.0.0.1. What the
emulators cannot show (throttling, capacity, denied permissions) is not compared.
"""

import asyncio
import datetime
import html
import http.client
import importlib
import json
import logging
import os
import re
import sys
import types
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.loaders import Loader


@dataclass(frozen=True)
class Difference:
    """A fact on which ours is right: why, and AWS's sentence, in the reference of `where` or on the page `url`."""

    operation: str
    fact: str
    reason: str
    sentence: str
    where: str = ""
    url: str = ""


LEAST_PRIVILEGE = "https://docs.aws.amazon.com/wellarchitected/latest/framework/sec_permissions_least_privileges"
WILDCARDS = "https://docs.aws.amazon.com/sdkfornet1/latest/apidocs/html/T_Amazon_EC2_Model_Filter.htm"
OWN_ONLY = (
    "Grant only the access that users require to perform specific actions on specific resources under specific"
    " conditions."
)
NOT_VALID = "If you specify an instance ID that is not valid, an error is returned."
UNORDERED = "Data points are not returned in chronological order."

DIFFERENCES = [
    Difference(
        "get-ami-ids-by-name", "images of a name that others use too",
        "The seed names no owner, so anyone's public image of that name is there; ours asks for the account's own.",
        "If you omit this parameter, the results include all images for which you have launch permissions, regardless"
        " of ownership.", where="ec2.DescribeImagesRequest.Owners"),
    Difference(
        "get-ami-ids-by-name", "images of a name whose image is not ready",
        "The seed does not ask for the state, so an image that cannot be launched yet is among the ids.",
        "state - The state of the image (available | pending | failed).", where="ec2.DescribeImagesRequest.Filters"),
    Difference(
        "get-ami-ids-by-name", "images of a part of a name",
        "The seed puts * around every name, so 2.8 also means 12.80; ours takes wildcards only where they are given.",
        "name - The name of the AMI (provided during image creation).", where="ec2.DescribeImagesRequest.Filters"),
    Difference(
        "create-instance", "tags",
        "Ours adds the ownership tag (and who launched it) in the launch itself.",
        "You can tag instances and EBS volumes during launch, after launch, or both.", where="ec2.RunInstances"),
    Difference(
        "create-instance", "state",
        "The seed answers what RunInstances said. Ours answers what a read shows of the launch, and moto's workers run at once.",
        "You can check the state of your instance using DescribeInstances.", where="ec2.RunInstances"),
    Difference(
        "create-instance", "outcome for an unknown image",
        "The seed reads InvalidAMIID.NotFound as an invalid parameter; the image is not there, which is a 404.",
        "After all instances that reference a deregistered AMI are terminated, specifying the ID of the image will"
        " eventually return an error indicating that the AMI ID cannot be found.", where="ec2.DescribeImages"),
    Difference(
        "start-instance", "outcome for a terminated instance",
        "moto starts it; EC2 would refuse, and the seed would call that a generic error. Ours says incorrect_state.",
        "After you terminate an instance, you can no longer connect to it, and it can't be recovered.",
        where="ec2.TerminateInstances"),
    Difference(
        "stop-instance", "outcome for an instance of somebody else",
        "The seed stops any instance of the account; ours only those that carry the ownership tag.", OWN_ONLY,
        url=LEAST_PRIVILEGE),
    Difference(
        "get-instance-details", "name of an unnamed instance",
        "The seed shows the id as a name; an instance without the tag Name has none, and ours says null.",
        "Each tag consists of a key and optional value.", where="ec2.CreateTags"),
    Difference(
        "get-instance-details", "outcome for a missing instance",
        "The seed wraps every error of this call in the same exception; ours says that the instance is not there.",
        NOT_VALID, where="ec2.DescribeInstances"),
    Difference(
        "get-all-instances", "name of an unnamed instance",
        "The seed makes a name of type, image and id, and another one than its own details do.",
        "Each tag consists of a key and optional value.", where="ec2.CreateTags"),
    Difference(
        "get-all-instances", "private_ip",
        "The seed's list leaves addresses empty although EC2's answer has them.",
        "The private IPv4 address assigned to the instance.", where="ec2.Instance.PrivateIpAddress"),
    Difference(
        "get-all-instances", "public_ip",
        "The seed's list leaves addresses empty although EC2's answer has them.",
        "The public IPv4 address, or the Carrier IP address assigned to the instance, if applicable.",
        where="ec2.Instance.PublicIpAddress"),
    Difference(
        "get-all-instances", "instances with a tag value that has a *",
        "The seed hands the value on as a pattern; ours escapes it, so that it means itself.",
        "Wildcards can be included in filter values; * specifies that zero or more characters must match",
        url=WILDCARDS),
    Difference(
        "get-all-instances", "instances without a state asked for",
        "The seed also lists what was terminated within the hour; ours does when asked for state=terminated.",
        "Recently terminated instances might appear in the returned results.", where="ec2.DescribeInstances"),
    Difference(
        "get-all-instances", "outcome for a missing instance",
        "To the seed one id that is gone fails the whole list; ours asks by the filter instance-id.", NOT_VALID,
        where="ec2.DescribeInstances"),
    Difference(
        "get-instance-status", "monitoring_state",
        "The seed looks for it in InstanceStatus, which has none, and always says disabled; ours reads the instance.",
        "The monitoring for the instance.", where="ec2.Instance.Monitoring"),
    Difference(
        "get-instance-tags", "outcome for a missing instance",
        "DescribeTags filters, so a missing instance has an empty set to the seed; ours reads the instance first: 404.",
        NOT_VALID, where="ec2.DescribeInstances"),
    Difference(
        "update-instance-tags", "outcome for the ownership tag",
        "Through the seed anyone can make any instance ours; the tag decides what may be changed.", OWN_ONLY,
        url=LEAST_PRIVILEGE),
    Difference(
        "delete-instance-tags", "outcome without a key",
        "The seed sends DeleteTags without tags, which EC2 (not moto) takes for all of them. Ours is a 400.",
        "If you omit this parameter, we delete all user-defined tags for the specified resources.",
        where="ec2.DeleteTagsRequest.Tags"),
    Difference(
        "get-instance-resources-utilization", "cpu average of several data points",
        "The seed takes the first data point it is given for the average of the window; ours averages all samples.",
        UNORDERED, where="cloudwatch.GetMetricStatistics"),
    Difference(
        "get-instance-resources-utilization", "memory average of several data points",
        "The seed takes the first data point it is given for the average of the window; ours averages all samples.",
        UNORDERED, where="cloudwatch.GetMetricStatistics"),
    Difference(
        "get-instance-resources-utilization", "outcome for a missing instance",
        "The seed wraps every error of this call in the same exception; ours says that the instance is not there.",
        NOT_VALID, where="ec2.DescribeInstances"),
]

MISSING_INSTANCE = "i-0ffffffffffffffff"
MISSING_IMAGE = "ami-0ffffffffffffffff"

# How each says the same: the seed by an exception's class, ours by the problem's code.
SEED_OUTCOMES = {
    "EC2AuthenticationException": "denied", "EC2InstanceNotFoundException": "not found",
    "EC2InvalidParameterException": "invalid", "EC2QuotaExceededException": "quota", "IntegrationException": "error",
}
OUR_OUTCOMES = {
    "image_not_found": "not found", "instance_not_found": "not found", "invalid_request": "invalid",
    "missing_permission": "denied", "not_managed": "denied", "quota_exceeded": "quota",
}


class Seed:
    """The seed's client, loaded from a checkout and pointed at the stack."""

    def __init__(self, checkout, stack):
        os.environ |= {"AWS_ENDPOINT_URL_EC2": stack["ec2_endpoint"],
                       "AWS_ENDPOINT_URL_CLOUDWATCH": stack["cloudwatch_endpoint"], "AWS_EC2_METADATA_DISABLED": "true"}
        self.module = self._load(Path(checkout))
        logging.disable(logging.ERROR)  # It logs each error that it raises.
        key = self.module.AwsAccountCredentials(stack["root_access_key_id"], stack["root_secret_access_key"])
        self.client, self.region = self.module.AwsEc2Client(key), self.module.AwsRegion(stack["region"])
        self.window = self.module.Ec2InstanceResourcesUtilizationRelativeStartTime("5m")

    @staticmethod
    def _load(checkout):
        [file] = checkout.glob("**/integration/services/aws_ec2_api_client.py")
        sys.path.insert(0, str(file.parents[2]))
        # The packages' own __init__ would also load CML's client and a web framework, which nobody needs here.
        for name in ("services", "models"):
            package = types.ModuleType(f"integration.{name}")
            package.__path__ = [str(file.parents[1] / name)]
            sys.modules[package.__name__] = package
        worker = importlib.import_module("integration.models.cml_worker_instance_dto")
        sys.modules["integration.models"].CMLWorkerInstanceDto = worker.CMLWorkerInstanceDto
        return importlib.import_module("integration.services.aws_ec2_api_client")

    def call(self, method, *arguments, **named):
        return asyncio.run(getattr(self.client, method)(self.region, *arguments, **named))

    def outcome(self, method, *arguments, **named):
        try:
            self.call(method, *arguments, **named)
        except Exception as error:  # Every class of it is an outcome.
            return SEED_OUTCOMES.get(type(error).__name__, f"{type(error).__name__}: {error}")
        return "done"


class Api:
    """Our API, called as every caller does: signed."""

    def __init__(self, stack):
        self.stack, self.host = stack, f"{stack['host']}:{stack['port']}"
        key = Credentials(stack["access_key_id"], stack["secret_access_key"])
        self.signer = SigV4Auth(key, "execute-api", stack["region"])

    def request(self, method, path, query=(), body=None):
        pairs = sorted(f"{quote(key, safe='')}={quote(value, safe='')}" for key, value in query)
        path = f"/{self.stack['stage']}{path}" + ("?" + "&".join(pairs) if pairs else "")
        data = None if body is None else json.dumps(body)
        request = AWSRequest(method, f"http://{self.host}{path}", data=data, headers={"Host": self.host})
        self.signer.add_auth(request)
        # *.localhost means 127.0.0.1, which not every resolver knows.
        connection = http.client.HTTPConnection("127.0.0.1", self.stack["port"], timeout=60)
        connection.request(method, path, data, dict(request.headers))
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())

    def instances(self, method="GET", below="", query=(), body=None):
        return self.request(method, f"/regions/{self.stack['region']}/instances{below}", query, body)

    def read(self, below="", query=()):
        status, document = self.instances("GET", below, query)
        assert status == 200, document
        return document

    def outcome(self, method, below, query=(), body=None):
        status, document = self.instances(method, below, query, body)
        return "done" if status < 300 else OUR_OUTCOMES.get(document["code"], document["code"])

    def list(self, **filters):
        """The ids of all pages, of all owners."""
        query = [("managed", "any"), *((key.replace("tag_", "tag."), value) for key, value in filters.items())]
        page = self.read("", query)
        instances = page["instances"]
        while page["next_token"]:
            page = self.read("", [*query, ("next_token", page["next_token"])])
            instances += page["instances"]
        return {instance["instance_id"] for instance in instances}


class Comparison:
    """What both say, fact by fact."""

    def __init__(self):
        self.agreed, self.unknown, self.met = 0, [], set()

    def fact(self, operation, fact, seed, ours):
        if seed == ours:
            self.agreed += 1
            print(f"  agree    {operation}: {fact} = {ours!r}")
            return
        listed = next((d for d in DIFFERENCES if (d.operation, d.fact) == (operation, fact)), None)
        self.met.add(listed)
        self.unknown += [] if listed else [fact]
        print(f"  {'known' if listed else 'UNKNOWN':8} {operation}: {fact}: seed {seed!r}, ours {ours!r}")

    def report(self):
        unmet = [d for d in DIFFERENCES if d not in self.met]
        unsaid = [d for d in DIFFERENCES if d.where and d.sentence not in documentation(d.where)]
        met = len(self.met - {None})
        print(f"\n{self.agreed} facts agree, {met} known differences were met, {len(self.unknown)} unknown ones.")
        for what, those in [("listed and not met", unmet), ("AWS's reference does not say so", unsaid)]:
            for difference in those:
                print(f"{what}: {difference.operation}: {difference.fact}")
        return not (self.unknown or unmet or unsaid)


def documentation(where):
    """AWS's API reference on an operation, a shape or a member (`ec2.Instance.Monitoring`), as plain text."""
    service, name, *member = where.split(".")
    model = Loader().load_service_model(service, "service-2")
    item = model["operations"].get(name) or model["shapes"][name]
    text = (item["members"][member[0]] if member else item).get("documentation", "")
    return re.sub(r"\s+", " ", html.unescape(re.sub("<[^>]+>", "", text)))


@dataclass
class Bench:
    """Both clients, EC2 and CloudWatch themselves, and instances to compare on."""

    seed: Seed
    api: Api
    stack: dict
    compare: Comparison
    ec2: object
    cloudwatch: object

    def compare_outcomes(self, operation, situation, seed, ours):
        """Calls both, as (method, arguments…) and (method, below[, query[, body]])."""
        self.compare.fact(operation, f"outcome for {situation}", self.seed.outcome(*seed), self.api.outcome(*ours))

    def launch(self, **tags):
        """An instance launched behind both backs."""
        tags = [{"Key": key, "Value": value} for key, value in tags.items()]
        launched = self.ec2.run_instances(
            ImageId=self.stack["image_id"], InstanceType="c5.2xlarge", SubnetId=self.stack["subnet_id"], MinCount=1,
            MaxCount=1, Monitoring={"Enabled": True},
            TagSpecifications=[{"ResourceType": "instance", "Tags": tags}] if tags else [])
        return launched["Instances"][0]["InstanceId"]


def health(bench):
    status, document = bench.api.request("GET", "/health")
    available = status == 200 and document["status"] == "ok"
    bench.compare.fact("health", "available", asyncio.run(bench.seed.client.health()), available)


def images(bench):
    def both(fact, name):
        status, document = bench.api.request("GET", f"/regions/{bench.stack['region']}/images", [("name", name)])
        assert status == 200, document
        ours = {image["image_id"] for image in document["images"]}
        bench.compare.fact("get-ami-ids-by-name", fact, set(bench.seed.call("get_ami_ids_by_name", name)), ours)

    # tests/local/images.json says whose they are and in which state.
    both("images of a name", "cml-2.8.0-worker")
    both("images of a name that others use too", "cml-2.8.1-worker")
    both("images of a name whose image is not ready", "cml-2.9.0-worker")
    both("images of a part of a name", "cml-2.7")
    both("images of a name that no image has", "cml-1.0.0-worker")


def create(bench):
    """Launches one worker with each; gives the ids, the seed's first."""
    stack, name, groups = bench.stack, "cml-compared", [bench.stack["security_group_id"]]
    network = (stack["subnet_id"], stack["key_name"])
    seed = bench.seed.call(
        "create_instance", name, stack["image_id"], stack["image_name"], "c5.2xlarge", groups, *network)
    body = {"name": name, "image_name": stack["image_name"], "instance_type": "c5.2xlarge",
            "security_group_ids": groups, "subnet_id": stack["subnet_id"], "key_name": stack["key_name"],
            "detailed_monitoring": True}
    status, ours = bench.api.instances("POST", body=body)
    assert status == 201, ours
    fields = {"aws_region": "region", "instance_name": "name", "ami_id": "image_id", "ami_name": "image_name",
              "instance_type": "instance_type", "security_group_ids": "security_group_ids", "subnet_id": "subnet_id",
              "instance_state": "state", "key_pair_name": "key_name", "tags": "tags"}
    for theirs, field in fields.items():
        bench.compare.fact("create-instance", field, getattr(seed, theirs), ours[field])
    for address in ("private_ip", "public_ip"):
        bench.compare.fact("create-instance", f"has a {address}", bool(getattr(seed, address)), bool(ours[address]))
    refused = {key: value for key, value in body.items() if key != "image_name"} | {"image_id": MISSING_IMAGE}
    bench.compare_outcomes(
        "create-instance", "an unknown image",
        ("create_instance", name, MISSING_IMAGE, "", "c5.2xlarge", groups, *network),
        ("POST", "", (), refused))
    bench.compare_outcomes(
        "create-instance", "a security group that is no id",
        ("create_instance", name, stack["image_id"], "", "c5.2xlarge", ["default"], *network),
        ("POST", "", (), body | {"security_group_ids": ["default"]}))
    return seed.id, ours["instance_id"]


def described(seed, ours):
    """The facts of one instance in both documents, as {fact: (seed, ours)}."""
    launch_time = datetime.datetime.fromisoformat(ours["launch_time"])
    return {
        "id": (seed.id, ours["instance_id"]), "instance_type": (seed.type, ours["instance_type"]),
        "state": (seed.state, ours["state"]), "image_id": (seed.image_id, ours["image_id"]),
        "launch_time": (seed.launch_timestamp, launch_time), "public_ip": (seed.public_ip, ours["public_ip"]),
        "private_ip": (seed.private_ip, ours["private_ip"]),
    }


def details(bench, ids, unnamed):
    for instance_id in ids:
        seed, ours = bench.seed.call("get_instance_details", instance_id), bench.api.read(f"/{instance_id}")
        for fact, (theirs, our) in (described(seed, ours) | {"name": (seed.name, ours["name"])}).items():
            bench.compare.fact("get-instance-details", fact, theirs, our)
    seed, ours = bench.seed.call("get_instance_details", unnamed), bench.api.read(f"/{unnamed}")
    bench.compare.fact("get-instance-details", "name of an unnamed instance", seed.name, ours["name"])
    bench.compare_outcomes("get-instance-details", "a missing instance", ("get_instance_details", MISSING_INSTANCE),
                           ("GET", f"/{MISSING_INSTANCE}"))


def listing(bench, ids, unnamed):
    def both(fact, seed, **ours):
        found = {instance.id for instance in bench.seed.call("list_instances", **seed)}
        bench.compare.fact("get-all-instances", fact, found, bench.api.list(**ours))

    for instance_id in [*ids, unnamed]:
        [seed] = bench.seed.call("list_instances", [instance_id])
        [ours] = bench.api.read("", [("instance_id", instance_id), ("managed", "any")])["instances"]
        named = "name of an unnamed instance" if instance_id == unnamed else "name"
        for fact, (theirs, our) in (described(seed, ours) | {named: (seed.name, ours["name"])}).items():
            bench.compare.fact("get-all-instances", fact, theirs, our)
    pattern, matching = bench.launch(Compared="a*c"), bench.launch(Compared="abc")
    # With a state, because without one the seed lists terminated ones too: that is a fact of its own below.
    running, image = {"instance_states": ["running"]}, bench.stack["image_id"]
    both("instances with a tag value", running | {"tag_filters": {"Compared": "abc"}}, state="running",
         tag_Compared="abc")
    both("instances with a tag value that has a *", running | {"tag_filters": {"Compared": "a*c"}}, state="running",
         tag_Compared="a*c")
    both("instances of a type", running | {"instance_types": ["c5.2xlarge"]}, state="running",
         instance_type="c5.2xlarge")
    both("instances of an image", running | {"image_ids": [image]}, state="running", image_id=image)
    both("running instances", running, state="running")
    bench.ec2.terminate_instances(InstanceIds=[pattern, matching])
    both("terminated instances", {"instance_states": ["terminated"]}, state="terminated")
    both("instances without a state asked for", {})
    bench.compare_outcomes("get-all-instances", "a missing instance", ("list_instances", [MISSING_INSTANCE]),
                           ("GET", "", [("instance_id", MISSING_INSTANCE)]))


def status(bench, ids):
    fields = {"instance_status_check": "instance_status_check", "ec2_system_status_check": "system_status_check",
              "instance_state": "state", "monitoring_state": "monitoring_state"}
    for instance_id in ids:
        seed = bench.seed.call("get_instance_status_checks", instance_id)
        ours = bench.api.read(f"/{instance_id}/status")
        for theirs, field in fields.items():
            bench.compare.fact("get-instance-status", field, seed[theirs], ours[field])
    bench.compare_outcomes("get-instance-status", "a missing instance",
                           ("get_instance_status_checks", MISSING_INSTANCE), ("GET", f"/{MISSING_INSTANCE}/status"))


def tags(bench, ours, foreign):
    path, missing = f"/{ours}/tags", f"/{MISSING_INSTANCE}/tags"

    def both(operation, fact):
        bench.compare.fact(operation, fact, bench.seed.call("get_tags", ours), bench.api.read(path)["tags"])

    both("get-instance-tags", "tags")
    bench.compare_outcomes("update-instance-tags", "a new tag", ("add_tags", ours, {"Lab": "ospf", "Rack": "1"}),
                           ("PATCH", path, (), {"tags": {"Größe": "a=b&c *?", "Rack": "2"}}))
    both("update-instance-tags", "tags afterwards")
    bench.compare_outcomes("delete-instance-tags", "a key and an absent one",
                           ("remove_tags", ours, ["Lab", "never-was"]),
                           ("DELETE", path, [("key", "Größe"), ("key", "never-was")]))
    both("delete-instance-tags", "tags afterwards")
    bench.compare_outcomes("get-instance-tags", "a missing instance", ("get_tags", MISSING_INSTANCE), ("GET", missing))
    owner = {"ManagedBy": "cml-cloud-manager"}
    bench.compare_outcomes("update-instance-tags", "the ownership tag", ("add_tags", foreign, owner),
                           ("PATCH", f"/{foreign}/tags", (), {"tags": owner}))
    seed, our = bench.seed.outcome("remove_tags", ours, []), bench.api.outcome("DELETE", path)
    bench.compare.fact("delete-instance-tags", "outcome without a key", seed, our)


def lifecycle(bench, ours, foreign):
    calls = {"start": ("POST", "/start"), "stop": ("POST", "/stop"), "terminate": ("DELETE", "")}

    def both(change, situation, instance_id, first="seed"):
        """Each asks for the change; whoever comes second finds it done."""
        said, (method, below) = {}, calls[change]
        for who in sorted(("seed", "API"), key=lambda who: who != first):
            said[who] = (bench.seed.outcome(f"{change}_instance", instance_id) if who == "seed"
                         else bench.api.outcome(method, f"/{instance_id}{below}"))
        bench.compare.fact(f"{change}-instance", f"outcome for {situation}", said["seed"], said["API"])

    def state(change, situation):
        seed, our = bench.seed.call("get_instance_details", ours), bench.api.read(f"/{ours}")
        bench.compare.fact(f"{change}-instance", f"state of {situation} afterwards", seed.state, our["state"])

    for first in ("seed", "API"):
        for change, before in [("stop", "running"), ("start", "stopped")]:
            situation = f"a {before} instance, the {first} first"
            both(change, situation, ours, first)
            state(change, situation)
    for change in calls:
        both(change, "a missing instance", MISSING_INSTANCE)
    both("stop", "an instance of somebody else", foreign)
    both("terminate", "a running instance", ours)
    state("terminate", "a running instance")
    both("start", "a terminated instance", ours, "API")


def utilization(bench, instance_id):
    def window(situation, seed, ours):
        now = datetime.datetime.now(datetime.timezone.utc)
        start, end = (datetime.datetime.fromisoformat(ours[name]) for name in ("start_time", "end_time"))
        operation, minute = "get-instance-resources-utilization", datetime.timedelta(minutes=1)
        bench.compare.fact(operation, f"end_time of {situation} is now", now - seed.end_time < minute, now - end < minute)
        bench.compare.fact(operation, f"window of {situation} is covered", *(
            end - start >= datetime.timedelta(minutes=5)
            for start, end in [(seed.start_time, seed.end_time), (start, end)]))

    def both(situation):
        seed = bench.seed.call("get_instance_resources_utilization", instance_id, bench.seed.window)
        ours = bench.api.read(f"/{instance_id}/utilization", [("window", "5m")])
        window(situation, seed, ours)
        for metric, theirs in [("cpu", seed.avg_cpu_utilization), ("memory", seed.avg_memory_utilization)]:
            fact = f"{metric} average of {situation}"
            bench.compare.fact("get-instance-resources-utilization", fact, theirs, ours[metric]["average"])

    def publish(minutes_ago, value):
        time = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(minutes=minutes_ago)
        for namespace, name in [("AWS/EC2", "CPUUtilization"), ("CWAgent", "mem_used_percent")]:
            datum = {"MetricName": name, "Timestamp": time, "Value": value,
                     "Dimensions": [{"Name": "InstanceId", "Value": instance_id}]}
            bench.cloudwatch.put_metric_data(Namespace=namespace, MetricData=[datum])

    both("no data point")
    publish(3, 40.0)
    both("one data point")
    publish(2, 10.0)
    both("several data points")
    bench.compare_outcomes("get-instance-resources-utilization", "a missing instance",
                           ("get_instance_resources_utilization", MISSING_INSTANCE, bench.seed.window),
                           ("GET", f"/{MISSING_INSTANCE}/utilization"))


def compare_all(bench):
    health(bench)
    images(bench)
    seeds, ours = create(bench)
    unnamed, foreign = bench.launch(), bench.launch(ManagedBy="somebody-else")
    try:
        details(bench, [seeds, ours], unnamed)
        listing(bench, [seeds, ours], unnamed)
        status(bench, [seeds, ours])
        tags(bench, ours, unnamed)
        utilization(bench, ours)
        lifecycle(bench, ours, foreign)
    finally:
        bench.ec2.terminate_instances(InstanceIds=[seeds, ours, unnamed, foreign])


def main(checkout, stack_file="target/local/stack.json"):
    stack = json.loads(Path(stack_file).read_text())
    for endpoint in ("ec2_endpoint", "cloudwatch_endpoint"):
        if urlsplit(stack[endpoint]).hostname != "127.0.0.1":
            sys.exit(f"{stack_file}: {endpoint} is not on 127.0.0.1")
    keys = {"region_name": stack["region"], "aws_access_key_id": stack["root_access_key_id"],
            "aws_secret_access_key": stack["root_secret_access_key"]}
    ec2 = boto3.client("ec2", endpoint_url=stack["ec2_endpoint"], **keys)
    cloudwatch = boto3.client("cloudwatch", endpoint_url=stack["cloudwatch_endpoint"], **keys)
    comparison = Comparison()
    compare_all(Bench(Seed(checkout, stack), Api(stack), stack, comparison, ec2, cloudwatch))
    return 0 if comparison.report() else 1


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
