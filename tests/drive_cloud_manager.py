"""Runs CML Cloud Manager on this API: its own tests, and every call that it makes of its EC2 client, beside its original client.

Run by hand, with `make run` in another terminal, in an environment of its own that has what the host needs and the wheel:

    git clone https://github.com/bvandewe/CML-Cloud-Manager ../seed
    python3.11 -m venv target/host
    target/host/bin/pip install 'neuroglia-python>=0.6.9,<0.7' 'python-keycloak>=5.8.1,<6' 'itsdangerous>=2.2,<3' 'redis>=7,<8' \\
        'motor>=3.7.1,<4' 'httpx<0.28' 'boto3>=1.40.74,<2' 'apscheduler>=3.11.1,<4' pytest 'pytest-asyncio>=1.3,<2' target/client/*.whl
    target/host/bin/python tests/drive_cloud_manager.py ../seed [target/local/stack.json]

The checkout stays as it is: a copy of it gets the one changed line, the import of the client in `main.py`. Each process takes that line
from its `main.py`, lets the class register itself in the host's own container, and drives what the container gives for the host's
class, with the host's own handlers. In the process that uses this API `boto3.client` and `boto3.resource` raise. What the host answers and
stores is compared; ids, times and the numbers of addresses are left out, and of the tags those that the API sets by itself. A
difference is listed in DIFFERENCES with the value that it becomes and the reason, or the run fails; it also fails if a listed one
is not met. It was run at commit 89d60c8 of the host.
"""

import asyncio
import inspect
import json
import logging
import os
import re
import shutil
import subprocess
import sys
import tempfile
import types
from dataclasses import dataclass
from enum import Enum
from ipaddress import ip_address
from pathlib import Path
from unittest.mock import AsyncMock, MagicMock

from compare_with_seed import documentation

IMPORT = "from integration.services.aws_ec2_api_client import AwsEc2Client"
OURS = "from cml_workers.cloud_manager import AwsEc2Client"

POISON = """
import boto3

def refuse(*arguments, **named):
    raise AssertionError("boto3 was asked for a client")

boto3.client = boto3.resource = boto3.Session = refuse
"""


@dataclass(frozen=True)
class Difference:
    """Facts on which ours is right or cannot be the same: what it says, why, and AWS's sentence in the reference of `where`."""

    facts: str
    becomes: str
    reason: str
    sentence: str
    where: str


DIFFERENCES = [
    Difference(
        ".*: cloudwatch_detailed_monitoring_enabled", "True",
        "Every launch has detailed monitoring. The original looks for it in InstanceStatus, which has none, and stores that it is off.",
        "The monitoring for the instance.", "ec2.Instance.Monitoring"),
    Difference(
        "(sync|metrics|ended elsewhere, sync).*: answer", ".*'cloudwatch_(detailed_monitoring|monitoring_enabled)': True.*", "The same, in the answer.",
        "The monitoring for the instance.", "ec2.Instance.Monitoring"),
    Difference(
        "provision( another)?: status|gone, .*: status", "running",
        "The original stores what RunInstances said. The API answers what a read shows of the launch, and moto's workers run at once.",
        "You can check the state of your instance using DescribeInstances.", "ec2.RunInstances"),
    Difference(
        "gone, metrics: answer", ".*'metrics_collected': False.*", "The same: metrics are collected of a worker that runs.",
        "You can check the state of your instance using DescribeInstances.", "ec2.RunInstances"),
    Difference(
        "monitoring: message", "AWS integration error: there are no access keys.*ec2:MonitorInstances",
        "The host calls boto3 by itself, with keys that are gone, and needs a permission that the specified policy lacks: the one call"
        " that is not replaced. (moto has no MonitorInstances, and the original fails on it here too.)",
        "Enables detailed monitoring for a running instance.", "ec2.MonitorInstances"),
    Difference(
        "import foreign, stop: message", ".*does not carry the tag ManagedBy=.*",
        "An instance without the ownership tag is adopted before the API changes it: `cml-workers adopt`.",
        "Adds or overwrites only the specified tags for the specified Amazon EC2 resource or resources.", "ec2.CreateTags"),
    Difference(
        "import foreign, stop: (answer|answered|status|pause_reason|manual_pause_count)", "|400|running|None|0",
        "The same: so the host does not note a stop.",
        "Adds or overwrites only the specified tags for the specified Amazon EC2 resource or resources.", "ec2.CreateTags"),
    Difference(
        "(import|delete).* gone: message", ".*(does not exist|not found).*",
        "The host has an exception for an instance that is not there, and the original wraps this one error in another.",
        "If you specify an instance ID that is not valid, an error is returned.", "ec2.DescribeInstances"),
    Difference(
        "gone, tags: (answer|answered|message)", "|400|Instance not found: .*",
        "To the original an instance that is not there has no tags, and its tags are set by moto all the same.",
        "If you specify an instance ID that is not valid, an error is returned.", "ec2.DescribeInstances"),
    Difference(
        "images of a name", "1",
        "The original names no owner, so that anyone's public image of a name counts.",
        "If you omit this parameter, the results include all images for which you have launch permissions, regardless of ownership.",
        "ec2.DescribeImagesRequest.Owners"),
]

# What is another one in each run; and the tags that the API sets.
UNCOMPARED = re.compile(r"(_at$|last_|next_|poll_interval|^ManagedBy$|^CreatedBy$|^IdempotencyFingerprint$|^cml:seen$)")
CHANGING = re.compile(
    r"\b(i|eni|vol|ami)-[0-9a-f]{17}\b|0x[0-9a-f]+|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|\b2\.\d\.\d\b"
    r"|\d{4}-\d\d-\d\d[T ][0-9:.+]*Z?|(original|ours)-[a-z]+")


def address(found):
    return "a private address" if ip_address(found[0]).is_private else "a public address"


def normal(value):
    """A value without what is another one in each run."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, dict):
        return {str(key): normal(each) for key, each in sorted(value.items()) if not UNCOMPARED.search(str(key))}
    if isinstance(value, list | tuple):
        return [normal(each) for each in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    if hasattr(value, "__dict__"):
        return normal(vars(value))
    return CHANGING.sub("…", re.sub(r"\b\d+(\.\d+){3}\b", address, str(value)))


class Workers:
    """The host's repository of workers, in memory."""

    def __init__(self):
        self.all = {}

    async def add_async(self, worker):
        self.all[worker.id()] = worker
        return worker

    update_async = add_or_update_async = add_async

    async def get_by_id_async(self, worker_id):
        return self.all.get(worker_id)

    async def get_by_aws_instance_id_async(self, instance_id):
        return next((each for each in self.all.values() if each.state.aws_instance_id == instance_id), None)

    async def get_all_async(self):
        return list(self.all.values())

    async def delete_async(self, worker_id, worker=None):
        return self.all.pop(worker_id, None) is not None


class Host:
    """The host's handlers, each with this client."""

    def __init__(self, name, client, stack):
        self.name, self.client, self.stack, self.workers, self.facts = name, client, stack, Workers(), {}
        self.settings = types.SimpleNamespace(
            cml_worker_ami_ids={stack["region"]: stack["image_id"]}, cml_worker_ami_names={stack["region"]: stack["image_name"]},
            cml_worker_security_group_ids=[stack["security_group_id"]], cml_worker_subnet_id=stack["subnet_id"],
            cml_worker_key_name=stack["key_name"])

    def handler(self, kind):
        known = {"cml_worker_repository": self.workers, "worker_repository": self.workers, "aws_ec2_client": self.client,
                 "ec2_client": self.client, "settings": self.settings, "mediator": AsyncMock(), "configuration_service": AsyncMock()}
        names = list(inspect.signature(kind.__init__).parameters)[1:]
        return kind(**{name: known.get(name, MagicMock()) for name in names})

    async def send(self, step, kind, request, worker_id=None):
        """Handles a request, and notes what the host answers and stores."""
        answer = await self.handler(kind).handle_async(request)
        if answer is not None:
            self.facts[f"{step}: answered"] = answer.status_code
            self.facts[f"{step}: message"] = normal(getattr(answer, "error_message", None) or "")
            self.facts[f"{step}: answer"] = normal(getattr(answer, "data", None) or "")
        worker = self.workers.all.get(worker_id)
        for field, value in normal(vars(worker.state) if worker else {}).items():
            self.facts[f"{step}: {field}"] = value
        return answer


def command(module, name):
    """A handler and its request, from the host's modules."""
    loaded = __import__(f"application.{module}", fromlist=["x"])
    return getattr(loaded, f"{name}Handler"), getattr(loaded, name)


MISSING = "i-0ffffffffffffffff"


def instances_of(ec2, image_id):
    reservations = ec2.describe_instances(Filters=[{"Name": "image-id", "Values": [image_id]}])["Reservations"]
    return [instance for reservation in reservations for instance in reservation["Instances"]]


async def drive(host, ec2):
    """What calls the host's EC2 client, in the order of a worker's life; then an instance of somebody else, and one that is gone."""
    from application.events.domain.provision_cml_worker_event_handler import ProvisionCMLWorkerEventHandler
    from domain.events.cml_worker import CMLWorkerCreatedDomainEvent
    from integration.enums import AwsRegion
    stack, region = host.stack, host.stack["region"]

    async def send(step, module, kind, about=None, /, **fields):
        handler, request = command(f"commands.worker.{module}", kind)
        return await host.send(step, handler, request(**fields), about)

    async def create(step, **more):
        before = set(host.workers.all)
        await send(step, "create_cml_worker_command", "CreateCMLWorkerCommand", name=f"{host.name}-worker", aws_region=region,
                   instance_type="c5.2xlarge", created_by="driver", **more)
        [worker_id] = host.workers.all.keys() - before
        worker = host.workers.all[worker_id]
        names = list(inspect.signature(CMLWorkerCreatedDomainEvent.__init__).parameters)[1:]
        event = CMLWorkerCreatedDomainEvent(**{
            name: worker_id if name == "aggregate_id" else getattr(worker.state, name, None) for name in names})
        await host.send(step.replace("create", "provision"), ProvisionCMLWorkerEventHandler, event, worker_id)
        return worker

    async def live(step, worker):
        one, about = {"worker_id": worker.id()}, worker.id()
        await send(f"{step}sync", "sync_worker_ec2_status_command", "SyncWorkerEC2StatusCommand", about, **one)
        await send(f"{step}tags", "update_cml_worker_tags_command", "UpdateCMLWorkerTagsCommand", about, **one,
                   tags={"Name": f"{host.name}-worker", "site": "lab"})
        await send(f"{step}metrics", "collect_worker_cloudwatch_metrics_command", "CollectWorkerCloudWatchMetricsCommand", about, **one)
        await send(f"{step}stop", "stop_cml_worker_command", "StopCMLWorkerCommand", about, **one, stopped_by="driver")
        await send(f"{step}sync again", "sync_worker_ec2_status_command", "SyncWorkerEC2StatusCommand", about, **one)
        await send(f"{step}start", "start_cml_worker_command", "StartCMLWorkerCommand", about, **one, started_by="driver")
        await send(f"{step}status", "update_cml_worker_status_command", "UpdateCMLWorkerStatusCommand", about, **one)

    worker = await create("create")
    assert worker.state.aws_instance_id, "the host launched nothing"
    one = {"worker_id": worker.id()}
    await live("", worker)
    await send("monitoring", "enable_worker_detailed_monitoring_command", "EnableWorkerDetailedMonitoringCommand", worker.id(), **one)
    handler, request = command("queries.get_cml_worker_resources_query", "GetCMLWorkerResourcesQuery")
    await host.send("resources", handler, request(worker_id=worker.id()), worker.id())
    await create("create without image", ami_id="ami-0123456789abcdef0")

    foreign = []

    def launch(image_id):
        tags = [{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": f"{host.name}-foreign"}]}]
        launched = ec2.run_instances(ImageId=image_id, InstanceType="c5.2xlarge", MinCount=1, MaxCount=1, TagSpecifications=tags)
        foreign.append(launched["Instances"][0]["InstanceId"])
        return foreign[-1]

    async def import_one(step, **fields):
        await send(step, "import_cml_worker_command", "ImportCMLWorkerCommand", aws_region=region, created_by="driver", **fields)

    found = launch(stack["image_id"])
    await import_one("import foreign", aws_instance_id=found)
    imported = await host.workers.get_by_aws_instance_id_async(found)
    await send("import foreign, stop", "stop_cml_worker_command", "StopCMLWorkerCommand", imported.id(), worker_id=imported.id())
    await import_one("import of one that is gone", aws_instance_id=MISSING)
    # An image that no other instance of the stack has, and none of the other client's.
    name = {"original": "cml-2.7.2-worker", "ours": "cml-2.8.0-worker"}[host.name]
    images = ec2.describe_images(Owners=["self"], Filters=[{"Name": "name", "Values": [name]}])["Images"]
    host.facts["instances of the image"] = len(instances_of(ec2, images[0]["ImageId"]))
    launch(images[0]["ImageId"])
    await send("bulk import", "bulk_import_cml_workers_command", "BulkImportCMLWorkersCommand", aws_region=region, ami_name=name)
    await send("bulk import again", "bulk_import_cml_workers_command", "BulkImportCMLWorkersCommand", aws_region=region, ami_name=name)
    await import_one("import by name", ami_name=name)
    await import_one("import by image", ami_id=images[0]["ImageId"])
    await send("bulk import of nothing", "bulk_import_cml_workers_command", "BulkImportCMLWorkersCommand", aws_region=region,
               ami_name="no-such-image")
    host.facts["images of a name"] = len(await host.client.get_ami_ids_by_name(aws_region=AwsRegion(region), ami_name="cml-2.8.1"))

    ec2.terminate_instances(InstanceIds=[worker.state.aws_instance_id])
    await send("ended elsewhere, sync", "sync_worker_ec2_status_command", "SyncWorkerEC2StatusCommand", worker.id(), **one)
    await send("terminate", "terminate_cml_worker_command", "TerminateCMLWorkerCommand", worker.id(), **one, terminated_by="driver")
    await send("delete", "delete_cml_worker_command", "DeleteCMLWorkerCommand", **one, terminate_instance=True)

    lost = await create("create another")
    ec2.terminate_instances(InstanceIds=[lost.state.aws_instance_id])
    lost.state.aws_instance_id = MISSING
    await live("gone, ", lost)
    one = {"worker_id": lost.id()}
    await send("gone, terminate", "terminate_cml_worker_command", "TerminateCMLWorkerCommand", lost.id(), **one)
    await send("delete of one that is gone", "delete_cml_worker_command", "DeleteCMLWorkerCommand", **one, terminate_instance=True)
    host.facts["health"] = await host.client.health()
    ec2.terminate_instances(InstanceIds=foreign)
    return host.facts


def registered(copy):
    """The client that the host's container gives after its `main.py` has registered one."""
    from neuroglia.dependency_injection import ServiceCollection
    [line] = re.findall(r"^from .* import AwsEc2Client$", (copy / "main.py").read_text(), re.MULTILINE)
    names = {}
    exec(line, names)
    builder = types.SimpleNamespace(services=ServiceCollection())
    names["AwsEc2Client"].configure(builder)
    from integration.services.aws_ec2_api_client import AwsEc2Client
    client = builder.services.build().get_required_service(AwsEc2Client)
    assert type(client) is names["AwsEc2Client"], "another class is registered"
    return client


def child(copy, stack, name):
    """One client's facts, as JSON on the last line."""
    logging.disable(logging.CRITICAL)
    sys.path.insert(0, str(copy))
    import boto3
    ec2 = boto3.client("ec2", region_name=stack["region"], endpoint_url=stack["ec2_endpoint"],
                       aws_access_key_id=stack["root_access_key_id"], aws_secret_access_key=stack["root_secret_access_key"])
    if name == "ours":
        exec(POISON, {})
    facts = asyncio.run(drive(Host(name, registered(copy), stack), ec2))
    print(json.dumps(facts))


def own_tests(copy, path=()):
    """The names of the host's own tests that pass."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, path))}
    run = subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-rA"], cwd=copy, env=environment,
                         capture_output=True, text=True)
    passed = set(re.findall(r"^PASSED (\S+)", run.stdout, re.MULTILINE))
    assert passed, run.stdout[-2000:] + run.stderr[-2000:]
    return passed


def main(checkout, stack_file="target/local/stack.json"):
    stack = json.loads(Path(stack_file).read_text())
    assert stack["ec2_endpoint"].startswith("http://127.0.0.1:"), "only a stack of make run: instances are made and ended"
    [main_file] = (file for file in Path(checkout).glob("src/*/main.py") if IMPORT in file.read_text())
    with tempfile.TemporaryDirectory() as folder:
        original, changed, poison = (Path(folder) / name for name in ("original", "changed", "poison"))
        for copy in (original, changed):
            shutil.copytree(main_file.parent, copy, ignore=shutil.ignore_patterns("node_modules", ".git", "logs"))
            (copy / "logs").mkdir()
        text = (changed / "main.py").read_text()
        assert text.count(IMPORT) == 1, "the registration is not where it was"
        (changed / "main.py").write_text(text.replace(IMPORT, OURS))
        poison.mkdir()
        (poison / "sitecustomize.py").write_text(POISON)
        before, after = own_tests(original), own_tests(changed, [poison])
        print(f"own tests: {len(before)} passed before, {len(after)} after")
        ok = not report("passed before and not after", before - after)

        facts = {}
        for name, copy in (("original", original), ("ours", changed)):
            keys = "root_" if name == "original" else ""
            environment = os.environ | {
                "CML_API_URL": stack["api_url"],
                "AWS_ENDPOINT_URL_EC2": stack["ec2_endpoint"], "AWS_ENDPOINT_URL_CLOUDWATCH": stack["cloudwatch_endpoint"],
                "AWS_ACCESS_KEY_ID": stack[f"{keys}access_key_id"],
                "AWS_SECRET_ACCESS_KEY": stack[f"{keys}secret_access_key"],
                "AWS_REGION": stack["region"], "AWS_EC2_METADATA_DISABLED": "true", "NO_PROXY": "127.0.0.1,localhost"}
            run = subprocess.run([sys.executable, __file__, "--child", str(copy), str(Path(stack_file).resolve()), name], cwd=copy,
                                 env=environment, capture_output=True, text=True)
            assert run.returncode == 0, run.stderr[-3000:]
            facts[name] = json.loads(run.stdout.splitlines()[-1])
        before = [each.pop("instances of the image") for each in facts.values()]
        assert before[0] == before[1], "a run that failed has left instances: start `make run` anew"
        differ = {key for key in facts["original"].keys() | facts["ours"].keys()
                  if facts["original"].get(key) != facts["ours"].get(key)}
        known = {key: difference for key in differ for difference in DIFFERENCES
                 if re.fullmatch(difference.facts, key) and re.fullmatch(difference.becomes, str(facts["ours"].get(key)), re.DOTALL)}
        print(f"{len(facts['original'])} facts, {len(differ)} differ, {len(known)} of them as listed")
        for key in sorted(differ):
            print(f"  {'listed' if key in known else 'UNKNOWN':8}{key}: {facts['original'].get(key)!r} -> {facts['ours'].get(key)!r}")
        unmet = {difference.facts for difference in DIFFERENCES if difference not in known.values()}
        unsaid = {difference.where for difference in DIFFERENCES if difference.sentence not in documentation(difference.where)}
        ok = not report("listed and not met", unmet) and not report("AWS's reference does not say so", unsaid) and ok
        return ok and differ == known.keys()


def report(what, those):
    for each in sorted(those):
        print(f"{what}: {each}")
    return bool(those)


if __name__ == "__main__":
    if sys.argv[1] == "--child":
        child(Path(sys.argv[2]), json.loads(Path(sys.argv[3]).read_text()), sys.argv[4])
    else:
        sys.exit(0 if main(*sys.argv[1:]) else 1)
