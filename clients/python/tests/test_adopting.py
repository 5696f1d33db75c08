"""Adoption: what matches is tagged once, what does not is not touched; EC2 is asked for both."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import settings
from server import LOST, Answer, Asked, Server
from test_command_line import run
from test_refusals import gateway

from cml_workers import Workers, adopting
from cml_workers.adopting import Criteria, Report
from cml_workers.problems import NotManagedError

OURS = "cml-cloud-manager"


@pytest.fixture
def site() -> str:
    """A tag that only the instances of one test have."""
    return f"site-{time.monotonic_ns()}"


@pytest.fixture
def original(ec2: Any, stack: dict[str, Any]) -> Callable[..., str]:
    """Launches a worker as the original program did: without the ownership tag."""

    def launched(image: str | None = None, **tags: str) -> str:
        pairs = [{"Key": key.replace("__", ":"), "Value": value} for key, value in tags.items()]
        (instance,) = ec2.run_instances(ImageId=image or stack["image_id"], MinCount=1, MaxCount=1, InstanceType="c5.2xlarge")[
            "Instances"
        ]
        if pairs:
            ec2.create_tags(Resources=[instance["InstanceId"]], Tags=pairs)
        return str(instance["InstanceId"])

    return launched


@pytest.fixture
def operator(stack: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The operator's own credentials and folder: root's keys, which the API's caller does not have."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", stack["root_access_key_id"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", stack["root_secret_access_key"])
    monkeypatch.setenv("AWS_ENDPOINT_URL", stack["cloudwatch_endpoint"])
    monkeypatch.setenv("AWS_ENDPOINT_URL_EC2", stack["ec2_endpoint"])
    monkeypatch.delenv("CML_API_URL")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def owners(ec2: Any, instance_id: str) -> dict[str, str | None]:
    """The ownership tag of an instance and of everything that is attached to it."""
    attached = {"Filters": [{"Name": "attachment.instance-id", "Values": [instance_id]}]}
    (reservation,) = ec2.describe_instances(InstanceIds=[instance_id])["Reservations"]
    found = {instance_id: reservation["Instances"][0].get("Tags", [])}
    found |= {each["VolumeId"]: each.get("Tags", []) for each in ec2.describe_volumes(**attached)["Volumes"]}
    interfaces = ec2.describe_network_interfaces(**attached)["NetworkInterfaces"]
    found |= {each["NetworkInterfaceId"]: each.get("TagSet", []) for each in interfaces}
    return {each: {tag["Key"]: tag["Value"] for tag in tags}.get("ManagedBy") for each, tags in found.items()}


XML = {"content-type": "text/xml;charset=UTF-8"}


def error(code: str, message: str) -> bytes:
    """An error as EC2 writes it."""
    errors = f"<Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors>"
    return f"<Response>{errors}<RequestID>59dbff89-35bd-4eac-99ed-be587EXAMPLE</RequestID></Response>".encode()


def report(folder: Path) -> list[dict[str, Any]]:
    (path,) = folder.glob("cml-workers-adopt-123456789012-us-east-1.jsonl")
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_workers_of_a_tag_are_adopted_and_the_api_manages_them(
    ec2: Any, stack: dict[str, Any], original: Callable[..., str], site: str, operator: Path
) -> None:
    mine = [original(site=site, Name=f"old-{number}") for number in range(2)]
    others = [original(), original(site=f"{site}-2"), original(Site=site)]
    stopped = original(site=site)
    ec2.stop_instances(InstanceIds=[stopped])
    gone = original(site=site)
    ec2.terminate_instances(InstanceIds=[gone])

    shown = run("adopt", "--tag", f"site={site}", "--dry-run")
    assert shown.returncode == 0
    assert all(each in shown.stdout for each in [*mine, stopped])
    assert not any(each in shown.stdout for each in [*others, gone])
    assert (run("adopt", "--tag", f"site={site}", answer="n\n").returncode, list(operator.glob("*.jsonl"))) == (1, [])
    assert set(owners(ec2, mine[0]).values()) == {None}

    done = run("adopt", "--tag", f"site={site}", answer="y\n")
    assert done.returncode == 0, done.stderr
    assert "Tag 9 resources of 3 workers with ManagedBy=cml-cloud-manager in us-east-1 of account 123456789012" in done.stderr
    for each in [*mine, stopped]:
        found = owners(ec2, each)
        assert (len(found), set(found.values())) == (3, {OURS})
    assert [owners(ec2, each)[each] for each in others] == [None] * 3
    lines = report(operator)
    assert {line["instance_id"]: len(line["tagged"]) for line in lines if "instance_id" in line} == dict.fromkeys(
        [*mine, stopped], 3
    )
    assert (lines[-1]["tagged_workers"], lines[-1]["refused_workers"]) == (3, [])

    caller = settings(stack)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in caller.items():
            patch.setenv(name, value)
        workers = Workers(stack["api_url"])
        assert workers.stop_instance(mine[0]).changed
        with pytest.raises(NotManagedError):
            workers.stop_instance(others[0])
    again = run("adopt", "--tag", f"site={site}")
    assert (again.returncode, "3 workers have the tag already" in again.stdout) == (0, True)


def test_all_criteria_must_be_met(ec2: Any, stack: dict[str, Any], original: Callable[..., str], site: str) -> None:
    images = {image["Name"]: image["ImageId"] for image in ec2.describe_images(Owners=["self"])["Images"]}
    assert images[stack["image_name"]] == stack["image_id"]
    older = next(image for name, image in images.items() if name == "cml-2.7.2-worker")
    new, old = original(site=site), original(older, site=site)
    other = original(older)

    def found(**criteria: Any) -> set[str]:
        return set(adopting.find(ec2, Criteria(**criteria), OURS).workers) & {new, old, other}

    assert found(tags={"site": site}) == {new, old}
    assert found(image_names=["cml-2.7*"]) == {old, other}
    assert found(image_names=["cml-2.7*"], tags={"site": site}) == {old}
    assert found(instance_ids=[new, other]) == {new, other}
    assert found(instance_ids=[new, other], tags={"site": site}) == {new}
    assert found(image_names=["no-such-image"]) == set()
    # To EC2 `*` and `?` in a filter are wildcards; here they are the tag's value.
    assert found(tags={"site": site[:-1] + "*"}) == set()
    missing = adopting.find(ec2, Criteria(instance_ids=["i-0ffffffffffffffff"]), OURS)
    assert (missing.workers, list(missing.left)) == ({}, ["i-0ffffffffffffffff"])


def test_more_ids_than_a_filter_takes_are_asked_for_in_parts(ec2: Any, original: Callable[..., str]) -> None:
    worker = original()
    ids = [*(f"i-{number:017x}" for number in range(450)), worker]
    plan = adopting.find(ec2, Criteria(instance_ids=ids), OURS)
    assert (set(plan.workers), len(plan.left)) == ({worker}, 450)


def test_what_is_somebody_elses_stays_as_it_is(
    ec2: Any, stack: dict[str, Any], original: Callable[..., str], site: str, operator: Path
) -> None:
    foreign = {
        original(site=site, ManagedBy="terraform"): "it has the tag ManagedBy=terraform",
        original(site=site, managedby=OURS): f"it has the tag managedby={OURS}",
    }
    mine, neighbour = original(site=site), original()
    (shared,) = [each for each in owners(ec2, mine) if each.startswith("vol-")]
    (card,) = [each for each in owners(ec2, mine) if each.startswith("eni-")]
    ec2.create_tags(Resources=[card], Tags=[{"Key": "ManagedBy", "Value": "somebody"}])

    done = run("adopt", "--tag", f"site={site}", "--yes")
    assert done.returncode == 0, done.stderr
    assert all(f"{each} is left alone: {reason}" in done.stdout for each, reason in foreign.items())
    assert f"{card} is left alone: it has the tag ManagedBy=somebody" in done.stdout
    assert owners(ec2, mine) == {mine: OURS, shared: OURS, card: "somebody"}
    assert [owners(ec2, each)[each] for each in foreign] == ["terraform", None]
    assert owners(ec2, neighbour)[neighbour] is None
    assert set(report(operator)[0]["left"]) == {*foreign, card}


def test_a_volume_of_two_workers_is_tagged_though_only_one_is_read_anew(
    ec2: Any, original: Callable[..., str], site: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = original(site=site), original(site=site)
    plan = adopting.find(ec2, Criteria(tags={"site": site}), OURS)
    (volume,) = [each for each in plan.workers[first].untagged if each.startswith("vol-")]
    # moto attaches a volume once: what EC2 says of one that is attached twice is put into its answer.
    paginator = ec2.get_paginator

    def attached_twice(name: str) -> Any:
        pages = paginator(name)
        if name != "describe_volumes":
            return pages

        class Pages:
            def paginate(self, **arguments: Any) -> Iterator[Any]:
                for page in pages.paginate(**arguments):
                    for each in page["Volumes"]:
                        if each["VolumeId"] == volume:
                            each["Attachments"].append({"InstanceId": second})
                    yield page

        return Pages()

    monkeypatch.setattr(ec2, "get_paginator", attached_twice)
    monkeypatch.setattr(adopting, "READ_ANEW", 1)
    plan = adopting.find(ec2, Criteria(tags={"site": site}), OURS)
    outcome = adopting.adopt(ec2, Criteria(tags={"site": site}), plan, Report(tmp_path / "report"), lambda: None)
    assert (set(outcome.tagged), outcome.skipped) == ({first, second}, {})
    monkeypatch.undo()
    assert set(owners(ec2, first).values()) == {OURS}


def described(**more: Any) -> Any:
    """EC2 with one instance, a volume and an interface, in the words of AWS's model; for what moto does not have."""
    instance = {"InstanceId": "i-1", "InstanceType": "c5.2xlarge", "State": {"Name": "running"}, "Tags": []}
    volume = {"VolumeId": "vol-1", "Attachments": [{"InstanceId": "i-1"}], "Tags": []}
    interface = {"NetworkInterfaceId": "eni-1", "Attachment": {"InstanceId": "i-1"}, "TagSet": [], "RequesterManaged": False}
    pages = {
        "describe_instances": {"Reservations": [{"Instances": [instance | more.get("instance", {})]}]},
        "describe_volumes": {"Volumes": [volume | more.get("volume", {})]},
        "describe_network_interfaces": {"NetworkInterfaces": [interface | more.get("interface", {})]},
    }

    class Ec2:
        def get_paginator(self, name: str) -> Any:
            class Paginator:
                def paginate(self, **_: Any) -> list[Any]:
                    return [pages[name]]

            return Paginator()

    return Ec2()


@pytest.mark.parametrize(
    ("more", "left"),
    [
        ({"instance": {"Tags": [{"Key": "aws:autoscaling:groupName", "Value": "web"}]}}, {"i-1": "Auto Scaling group web"}),
        ({"instance": {"Tags": [{"Key": "aws:ec2:fleet-id", "Value": "fleet-1"}]}}, {"i-1": "EC2 Fleet fleet-1"}),
        ({"instance": {"Operator": {"Managed": True, "Principal": "eks.amazonaws.com"}}}, {"i-1": "a service of AWS"}),
        ({"volume": {"Operator": {"Managed": True}}}, {"vol-1": "a service of AWS"}),
        ({"volume": {"Attachments": [{"InstanceId": "i-1"}, {"InstanceId": "i-2"}]}}, {"vol-1": "another instance"}),
        ({"interface": {"RequesterManaged": True}}, {"eni-1": "a service of AWS"}),
        ({}, {}),
    ],
)
def test_what_moto_does_not_have_is_left_alone_too(more: Any, left: dict[str, str]) -> None:
    plan = adopting.find(described(**more), Criteria(tags={"a": "b"}), OURS)
    assert plan.left.keys() >= left.keys()
    assert all(reason in plan.left[each] for each, reason in left.items())
    tagged = [each for worker in plan.workers.values() for each in worker.untagged]
    assert set(tagged) == (set() if "i-1" in left else {"i-1", "vol-1", "eni-1"} - left.keys())


def test_only_what_was_confirmed_and_still_matches_is_tagged(
    ec2: Any, original: Callable[..., str], site: str, tmp_path: Path
) -> None:
    stays, ends, changes = (original(site=site) for _ in range(3))
    criteria = Criteria(tags={"site": site})
    plan = adopting.find(ec2, criteria, OURS)
    ec2.terminate_instances(InstanceIds=[ends])
    ec2.create_tags(Resources=[changes], Tags=[{"Key": "ManagedBy", "Value": "terraform"}])
    late = original(site=site)
    done: list[None] = []
    outcome = adopting.adopt(ec2, criteria, plan, Report(tmp_path / "report"), lambda: done.append(None))
    assert (outcome.tagged, outcome.refused, len(done)) == ([stays], {}, 3)
    assert outcome.skipped.keys() == {ends, changes}
    assert "ManagedBy=terraform" in outcome.skipped[changes]
    assert set(owners(ec2, stays).values()) == {OURS}
    assert (owners(ec2, late)[late], owners(ec2, changes)[changes]) == (None, "terraform")


def test_the_others_are_adopted_if_ec2_refuses_one(
    ec2: Any,
    stack: dict[str, Any],
    original: Callable[..., str],
    site: str,
    operator: Path,
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, second = (original(site=site) for _ in range(2))
    monkeypatch.setenv("AWS_ENDPOINT_URL_EC2", server.in_front_of(stack["ec2_endpoint"]))

    def refuse_first(asked: Asked) -> Answer:
        if b"Action=CreateTags" in asked.body and first.encode() in asked.body:
            return Answer(400, error("TagLimitExceeded", "Maximum 50 tags"), XML)
        return server.pass_on(asked)

    server.answers = [refuse_first]
    done = run("adopt", "--tag", f"site={site}", "--yes")
    assert (done.returncode, "1 workers tagged, 1 refused" in done.stderr) == (1, True), done.stderr
    assert (owners(ec2, first)[first], owners(ec2, second)[second]) == (None, OURS)
    (told,) = [line for line in report(operator) if "error" in line]
    assert (told["instance_id"], "TagLimitExceeded" in told["error"]) == (first, True)


def test_a_call_whose_answer_was_lost_counts_as_done(
    ec2: Any,
    stack: dict[str, Any],
    original: Callable[..., str],
    site: str,
    operator: Path,
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The policy allows tagging only what has no such tag, so that EC2 refuses the second sending."""
    worker = original(site=site)
    monkeypatch.setenv("AWS_ENDPOINT_URL_EC2", server.in_front_of(stack["ec2_endpoint"]))
    sent: list[Asked] = []

    def lose_first(asked: Asked) -> Answer:
        if b"Action=CreateTags" not in asked.body:
            return server.pass_on(asked)
        sent.append(asked)
        if len(sent) == 1:
            server.pass_on(asked)
            return LOST
        return Answer(403, error("UnauthorizedOperation", "not authorized to perform: ec2:CreateTags"), XML)

    server.answers = [lose_first]
    done = run("adopt", "--tag", f"site={site}", "--yes")
    assert (done.returncode, len(sent), "1 workers tagged, 0 refused" in done.stderr) == (0, 2, True), done.stderr
    assert set(owners(ec2, worker).values()) == {OURS}
    assert [line["instance_id"] for line in report(operator) if "tagged" in line] == [worker]


def test_more_than_a_page_is_attached(
    ec2: Any, original: Callable[..., str], site: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = {original(site=site) for _ in range(7)}
    monkeypatch.setattr(adopting, "PAGE", {"PageSize": 5})
    plan = adopting.find(ec2, Criteria(tags={"site": site}), OURS)
    assert {worker.instance_id: len(worker.untagged) for worker in plan.to_tag} == dict.fromkeys(ids, 3)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--ids-file", "empty"), "empty has no ids"),
        (("--ids-file", "commas"), "these are no instance ids: i-1,i-2"),
        (("--ids-file", "bytes"), "bytes is no file of text"),
        (("--instance-id", "i-*"), "these are no instance ids: i-*"),
        (("--tag", "site=b"), "site is given twice"),
        (("--managed-by", ""), "--managed-by is empty"),
        (("--report", "."), "is a directory"),
        (("--report", "no/such/folder"), "cannot be written"),
    ],
)
def test_what_would_mean_more_than_was_meant_is_refused(
    arguments: tuple[str, ...], said: str, original: Callable[..., str], site: str, operator: Path, ec2: Any
) -> None:
    worker = original(site=site)
    for name, content in {"empty": b"\n", "commas": b"i-1,i-2\n", "bytes": b"\xff\xfe\x00"}.items():
        (operator / name).write_bytes(content)
    done = run("adopt", "--tag", f"site={site}", *arguments, "--yes", COLUMNS="250")
    assert (done.returncode, said in done.stderr) == (2, True), done.stderr
    assert owners(ec2, worker)[worker] is None


def test_the_api_says_if_its_tag_has_another_value(
    stack: dict[str, Any], original: Callable[..., str], site: str, operator: Path, ec2: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker, managed = original(site=site), original(ManagedBy=OURS)
    monkeypatch.setenv("CML_API_URL", stack["api_url"])
    done = run("adopt", "--tag", f"site={site}", "--managed-by", "another", "--yes", COLUMNS="250")
    assert (done.returncode, f"the API's workers have ManagedBy={OURS}" in done.stderr) == (2, True), done.stderr
    assert (owners(ec2, worker)[worker], owners(ec2, managed)[managed]) == (None, OURS)
    done = run("adopt", "--tag", f"site={site}", "--yes")
    assert (done.returncode, f"the API manages {worker}" in done.stderr) == (0, True), done.stderr


def test_who_may_not_call_the_api_may_adopt(
    original: Callable[..., str], site: str, operator: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = original(site=site)
    server.answers = [gateway()["ACCESS_DENIED"]]
    monkeypatch.setenv("CML_API_URL", server.url)
    done = run("adopt", "--tag", f"site={site}", "--yes")
    assert (done.returncode, f"whether the API manages {worker} is not known" in done.stderr) == (0, True), done.stderr


def test_a_name_forges_no_line_of_the_list_and_moves_no_cursor(original: Callable[..., str], site: str, operator: Path) -> None:
    worker = original(site=site, Name="a\x9b31mb\u202ec\ni-0ffffffffffffffff [red]d")
    done = run("adopt", "--tag", f"site={site}", "--dry-run")
    (line,) = [line for line in done.stdout.splitlines() if worker in line]
    assert line.startswith("a\ufffd31mb\ufffdc\ufffdi-0ffffffffffffffff [red]d ")


def test_it_is_an_error_if_nothing_matches(operator: Path) -> None:
    done = run("adopt", "--tag", "site=nowhere", "--yes")
    assert (done.returncode, "nothing to adopt in us-east-1 of account 123456789012" in done.stderr) == (1, True)


def test_a_later_run_adds_to_a_report_that_was_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "report"
    path.write_text('{"instance_id": "i-1", "tagged": ["i-1"]}\n{"instance_id": "i-2", "tag')
    report = Report(path)
    assert report.told == {"i-1"}
    report.write(instance_id="i-2", tagged=[])
    report.write(instance_id="i-3", tagged=[])
    assert Report(path).told == {"i-1", "i-2", "i-3"}
    assert len(path.read_text().splitlines()) == 4
