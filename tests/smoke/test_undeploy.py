"""What `make undeploy` says of what stays and of what stands in its way, and of a stack that is none of ours."""

from types import SimpleNamespace

import boto3
import moto
import pytest
import stacks
import undeploy
import workers
from botocore.exceptions import ClientError, EndpointConnectionError
from run import Run


@pytest.fixture
def deployed(monkeypatch):
    """A stack that serves three regions, one of which does not answer; each other one has a worker and somebody else's instance."""
    def alive(run, region):
        if region == "mars":
            raise EndpointConnectionError(endpoint_url="https://ec2.mars.amazonaws.com/")
        return [{"InstanceId": f"{region}-{name}", "State": {"Name": "running"}, "Tags": [{"Key": "ManagedBy", "Value": tag}]}
                for name, tag in (("i-1", "lab"), ("i-2", "lab-2"))]

    monkeypatch.setattr(workers, "alive", alive)
    made = object.__new__(undeploy.Deployed)
    made.run = SimpleNamespace(region="us-east-1")
    made.parameters = {"AllowedRegions": "us-east-1,mars,us-west-2", "ManagedBy": "lab"}
    made.resources, made.stacks, made.templates = [], ["one"], {"one": {}}
    return made


def resource(kind, logical_id, physical_id):
    return "one", {"ResourceType": kind, "LogicalResourceId": logical_id, "PhysicalResourceId": physical_id}


def test_the_workers_of_all_regions_are_named_and_a_region_that_does_not_answer_too(deployed):
    lines = "\n".join(undeploy.staying(deployed, deployed.found()))
    assert "ManagedBy=lab, looked for in us-east-1, mars, us-west-2 alone" in lines
    assert "worker us-east-1-i-1 in us-east-1, running" in lines and "worker us-west-2-i-1 in us-west-2" in lines
    assert "i-2" not in lines
    assert "what there is in mars is not known: " in lines and "ec2.mars.amazonaws.com" in lines


def test_a_worker_that_is_launched_while_the_stack_goes_is_named(deployed, monkeypatch):
    before = list(undeploy.staying(deployed, deployed.found()))
    late = {"InstanceId": "i-late", "State": {"Name": "pending"}, "Tags": [{"Key": "ManagedBy", "Value": "lab"}]}
    monkeypatch.setattr(workers, "alive", lambda run, region: [late])
    assert not any("i-late" in line for line in before) and any("i-late" in line for line in undeploy.staying(deployed, deployed.found()))


def test_a_region_that_does_not_answer_may_have_instances_with_the_profile(deployed, monkeypatch):
    with pytest.raises(undeploy.Refused, match="whether instances in mars have the stack's instance profile is not known: .*AllowedRegions"):
        undeploy.refuse(deployed, deployed.found())
    deployed.parameters["AllowedRegions"] = "us-east-1"
    undeploy.refuse(deployed, deployed.found())
    # Its tag may be that of an earlier deployment.
    stray = {"InstanceId": "i-3", "IamInstanceProfile": {"Arn": "arn:aws:iam::123456789012:instance-profile/CMLWorker"}}
    monkeypatch.setattr(workers, "alive", lambda run, region: [stray])
    undeploy.refuse(deployed, deployed.found())
    deployed.resources = [resource("AWS::IAM::InstanceProfile", "WorkerInstanceProfile", "CMLWorker")]
    with pytest.raises(undeploy.Refused, match="instance i-3 in us-east-1 runs with the stack's instance profile"):
        undeploy.refuse(deployed, deployed.found())


@pytest.fixture
def iam(monkeypatch, deployed):
    """A stack with a role that has an inline policy and is in a profile, as the template makes them."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    with moto.mock_aws():
        session = boto3.Session(region_name="us-east-1")
        deployed.run = Run(None, session, {})
        deployed.parameters["AllowedRegions"] = "us-east-1"
        deployed.resources = [resource("AWS::IAM::Role", "WorkerRole", "CMLWorker"),
                              resource("AWS::IAM::InstanceProfile", "WorkerInstanceProfile", "CMLWorker")]
        deployed.templates = {"one": {"WorkerRole": {"Properties": {"Policies": [{"PolicyName": "Worker"}]}}, "WorkerInstanceProfile": {}}}
        client = session.client("iam")
        client.create_role(RoleName="CMLWorker", AssumeRolePolicyDocument="{}")
        client.put_role_policy(RoleName="CMLWorker", PolicyName="Worker", PolicyDocument=NOTHING)
        client.create_instance_profile(InstanceProfileName="CMLWorker")
        client.add_role_to_instance_profile(InstanceProfileName="CMLWorker", RoleName="CMLWorker")
        yield client


NOTHING = '{"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "s3:*", "Resource": "*"}]}'


def test_each_thing_for_which_iam_keeps_a_role_stands_in_the_way(deployed, iam):
    """DeleteRole names three: "Inline policies … Attached managed policies … Instance profile"."""
    undeploy.refuse(deployed, deployed.found())
    iam.put_role_policy(RoleName="CMLWorker", PolicyName="Others", PolicyDocument=NOTHING)
    iam.create_instance_profile(InstanceProfileName="CMLWorker-big")
    iam.add_role_to_instance_profile(InstanceProfileName="CMLWorker-big", RoleName="CMLWorker")
    arn = iam.create_policy(PolicyName="OfAll", PolicyDocument=NOTHING)["Policy"]["Arn"]
    iam.attach_role_policy(RoleName="CMLWorker", PolicyArn=arn)
    reasons = [f"the role CMLWorker has {arn}, which is not the stack's: detach it",
               "the role CMLWorker has the inline policy Others, which is not the stack's: delete it",
               "the role CMLWorker is in the instance profile CMLWorker-big, which is not the stack's: take it out"]
    assert list(deployed.given()) == reasons
    # What the template keeps is not deleted.
    deployed.templates["one"]["WorkerRole"]["DeletionPolicy"] = "Retain"
    assert list(deployed.given()) == []


def test_a_role_that_somebody_removed_stands_in_nobodys_way(deployed, iam):
    deployed.resources.append(resource("AWS::IAM::Role", "WorkerRole", "gone"))
    deployed.resources.append(resource("AWS::IAM::ManagedPolicy", "Policy", "arn:aws:iam::123456789012:policy/gone"))
    undeploy.refuse(deployed, deployed.found())


def test_what_the_template_keeps_is_named(deployed):
    policies = {"Logging": "Retain", "Evidence": "RetainExceptOnCreate", "Table": "Delete"}
    deployed.templates = {"one": {name: {"DeletionPolicy": policy} for name, policy in policies.items()} | {"Other": {}}}
    deployed.resources = [resource("AWS::S3::Bucket", name, name.lower()) for name in ("Logging", "Evidence", "Table", "Other", "Unknown")]
    assert list(deployed.retained()) == [("AWS::S3::Bucket", "logging"), ("AWS::S3::Bucket", "evidence")]


@pytest.mark.parametrize(("first", "later", "cancelled"), [
    ("CREATE_COMPLETE", [], False),
    ("ROLLBACK_COMPLETE", [], False),
    ("UPDATE_IN_PROGRESS", ["UPDATE_ROLLBACK_IN_PROGRESS", "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS", "UPDATE_ROLLBACK_COMPLETE"], True),
    ("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", ["UPDATE_COMPLETE"], False),
])
def test_a_stack_is_deleted_once_its_update_has_ended(first, later, cancelled, monkeypatch):
    seen, asked = [first, *later], []

    def cancel(**parameters):
        asked.append(parameters)
        # CloudFormation's words if the update has ended meanwhile.
        raise ClientError({"Error": {"Code": "ValidationError", "Message": "CancelUpdateStack cannot be called"}}, "CancelUpdateStack")

    # The first look is whether it is updated.
    looks = iter([first, *seen])
    monkeypatch.setattr(stacks, "describe", lambda run, name, region: {"StackStatus": next(looks)})
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    run = SimpleNamespace(client=lambda service, region: SimpleNamespace(cancel_update_stack=cancel))
    stacks.settle(run, SimpleNamespace(name="one", region="us-east-1", details={}))
    assert asked == ([{"StackName": "one"}] if cancelled else []) and list(looks) == []


def test_without_regions_of_its_own_a_stack_has_workers_in_its_own_region(deployed):
    deployed.parameters["AllowedRegions"] = ""
    assert deployed.regions == ["us-east-1"]


def test_a_stack_of_another_template_is_none_of_ours(monkeypatch):
    monkeypatch.setattr(undeploy, "start", lambda: SimpleNamespace(stack="other"))
    monkeypatch.setattr(undeploy.stacks, "describe", lambda run, name: {"Parameters": [{"ParameterKey": "ManagedBy"}]})
    with pytest.raises(SystemExit, match="other is no stack of template.yaml: it has no parameter AllowedRegions"):
        undeploy.main()
