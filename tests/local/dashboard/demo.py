"""Workers worth looking at, and what happens to them: some hours in time lapse.

Each round stands for five minutes. The requests and the sweeps in it are real; then the round is moved into the past: its metrics
to where it belongs, and what ages in EC2, such as heartbeats and marks, by five minutes.
"""

import datetime
import itertools
import json
import math

import measures
from local_stack import STACK_NAME, now

ROUND = datetime.timedelta(minutes=5)
PARAMETERS = {"OnIdle": "stop", "OnImpaired": "stop", "OnOrphan": "report"}
OTHER_REGION = "us-west-2"
OWNER = "arn:aws:iam::123456789012:user/cml-cloud-manager"

# Name, type, region, hours since its launch, CPU, memory, and for how many rounds before the end its owner has been silent.
WORKERS = [
    ("cml-worker-1", "m5zn.metal", None, 31, 55, 63, 0),
    ("cml-worker-2", "c5.2xlarge", None, 9, 38, 58, 0),
    ("cml-exam-prep", "c5.4xlarge", None, 7, 1.4, 22, 6),
    ("cml-weekend-lab", "c5.2xlarge", None, 52, 0.9, 18, 24),
    ("cml-kept-demo", "c5.2xlarge", None, 76, 2.1, 31, 24),
    ("cml-broken-host", "c5.4xlarge", None, 20, 24, 71, 0),
    ("cml-lost-owner", "m5zn.metal", None, 15, 44, 82, 24),
    ("cml-west-1", "c5.2xlarge", OTHER_REGION, 12, 47, 52, 0),
]
KEPT, IMPAIRED, IMPAIRED_FOR = "cml-kept-demo", "cml-broken-host", 7
# With fewer the worker is never impaired.
LEAST_ROUNDS = IMPAIRED_FOR
AGING = ("cml:heartbeat", "cml:mark", "cml:acted", "demo:impaired")


def written(time):
    return time.astimezone(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def older(value, by):
    """A tag's value with its time, the last word, moved back; as it is, if there is no time."""
    *words, last = value.split(" ")
    try:
        return " ".join([*words, written(datetime.datetime.fromisoformat(last) - by)])
    except ValueError:
        return value


class Demo:
    def __init__(self, stack, rounds):
        self.stack, self.rounds, self.ids = stack, rounds, {}
        self.unmanaged = self.lab = None
        self.regions = [stack.region, OTHER_REGION]

    def prepare(self, parameters):
        self.stack.set_parameters({**PARAMETERS, "AllowedRegions": ",".join(self.regions), **parameters})
        known = {name: id for region in self.regions for id, name in self.living(region)}
        for name, type, region, hours, *_ in WORKERS:
            self.ids[name] = known.get(name) or self.launch(name, type, region, {"ManagedBy": "cml-cloud-manager"})
            age = ROUND * self.rounds
            tags = {"CreatedBy": OWNER, "demo:launched": written(now() - datetime.timedelta(hours=hours) + age)}
            self.tag(self.ids[name], region, tags | ({"cml:keep": "shown on Friday"} if name == KEPT else {}))
        self.unmanaged = self.launch("build-server", "c5.2xlarge", None, {})
        minutes = int(self.rounds * ROUND.total_seconds() // 60) + 70
        for place, (name, _, region, _, cpu, memory, _) in enumerate(WORKERS):
            # `make run` publishes for its own two workers, from ten minutes ago on.
            measures.put_worker(self.stack.client("cloudwatch", region), self.ids[name], place, cpu, memory, range(10 if place < 2 else 0, minutes))

    def living(self, region):
        for reservation in self.stack.ec2(region).describe_instances()["Reservations"]:
            for instance in reservation["Instances"]:
                yield instance["InstanceId"], {tag["Key"]: tag["Value"] for tag in instance.get("Tags", [])}.get("Name")

    def launch(self, name, type, region, tags):
        info, ec2 = self.stack.info, self.stack.ec2(region)
        [subnet, *_] = ec2.describe_subnets()["Subnets"]
        tags = [{"Key": key, "Value": value} for key, value in {"Name": name, **tags}.items()]
        answer = ec2.run_instances(
            ImageId=info["image_id"], InstanceType=type, SubnetId=subnet["SubnetId"], MinCount=1, MaxCount=1,
            TagSpecifications=[{"ResourceType": "instance", "Tags": tags}])
        return answer["Instances"][0]["InstanceId"]

    def tag(self, instance_id, region, tags):
        self.stack.ec2(region).create_tags(Resources=[instance_id], Tags=[{"Key": k, "Value": v} for k, v in tags.items()])

    def play(self, extraction):
        # MiniStack's IAM does not know the source of events, and refuses what the role's policy allows: some rounds show how a
        # missing permission looks, then the role gets it without that condition.
        end = now()
        for number in range(self.rounds):
            if number == 3:
                self.allow_events()
            before, statuses = self.rounds - number, []
            self.requests(number, statuses)
            if before == IMPAIRED_FOR:
                self.tag(self.ids[IMPAIRED], None, {"demo:impaired": written(now() - ROUND)})
            self.stack.sweep()
            time = end - ROUND * (before - 1) - datetime.timedelta(minutes=1)
            count = extraction.run(later=time - now())
            measures.put_api(self.stack, statuses, time)
            print(f"\rround {number + 1} of {self.rounds}: {len(statuses)} requests, a sweep, {count} metric data", end="", flush=True)
            if before > 1:
                self.age()
        print()

    def allow_events(self):
        roles = self.stack.client("cloudformation").describe_stack_resource(StackName=STACK_NAME, LogicalResourceId="SweepRole")
        statement = {"Effect": "Allow", "Action": "events:PutEvents", "Resource": "*"}
        self.stack.client("iam").put_role_policy(
            RoleName=roles["StackResourceDetail"]["PhysicalResourceId"], PolicyName="DemoEvents",
            PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))

    def requests(self, number, statuses):
        region = self.stack.region

        def call(method, path, body=None, **more):
            status, answer = self.stack.call(method, path, body, **more)
            statuses.append(status)
            return answer

        here = f"/regions/{region}/instances"
        for name, _, where, _, _, _, silent in WORKERS:
            if self.rounds - number > silent:
                call("PATCH", f"/regions/{where or region}/instances/{self.ids[name]}/tags", {"tags": {"cml:heartbeat": written(now())}})
        call("GET", "/health")
        ids = itertools.cycle(self.ids[name] for name, _, where, *_ in WORKERS if where is None)
        for _ in range(3 + round(3 * math.sin(number / 4) ** 2)):
            call("GET", here)
            call("GET", f"{here}/{next(ids)}")
            call("GET", f"{here}/{next(ids)}/status")
        call("GET", f"{here}/{next(ids)}/utilization?window=5m")
        for _ in range(1 + number % 4):
            call("GET", f"{here}/i-0123456789abcdef0")
        if number % 3 == 0:
            call("POST", f"{here}/{self.unmanaged}/stop")
            call("POST", here, {"name": "cml-bad", "instance_type": "c5.2xlarge", "image_name": "no-such-image"})
        if number % 5 == 0:
            call("GET", f"{here}?limit=none")
            call("GET", here, signed=False)
        self.lab_of_students(number, call, here)

    def lab_of_students(self, number, call, here):
        """A worker that callers launch, stop and start again."""
        if number == 4:
            body = {"name": "cml-lab-1", "image_name": self.stack.info["image_name"], "instance_type": "c5.2xlarge"}
            self.lab = call("POST", here, body).get("instance_id")
        if self.lab and number >= 4:
            call("PATCH", f"{here}/{self.lab}/tags", {"tags": {"cml:heartbeat": written(now())}})
            actions = {10: "stop", 13: "start", 19: "stop"}
            if number in actions:
                call("POST", f"{here}/{self.lab}/{actions[number]}")

    def age(self):
        for region in self.regions:
            ec2 = self.stack.ec2(region)
            for reservation in ec2.describe_instances(Filters=[{"Name": "tag-key", "Values": ["ManagedBy"]}])["Reservations"]:
                for instance in reservation["Instances"]:
                    tags = {tag["Key"]: older(tag["Value"], ROUND) for tag in instance["Tags"] if tag["Key"] in AGING}
                    self.tag(instance["InstanceId"], region, tags | {"demo:launched": written(instance["LaunchTime"] - ROUND)})
