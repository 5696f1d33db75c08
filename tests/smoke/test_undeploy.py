"""What `make undeploy` says of workers that it cannot see, and of a stack that is none of ours."""

from types import SimpleNamespace

import pytest
import undeploy
import workers
from botocore.exceptions import EndpointConnectionError


@pytest.fixture
def deployed(monkeypatch):
    """A stack that serves three regions, one of which does not answer; each other one has a worker and one that is gone."""
    def with_tag(run, region, tag):
        if region == "mars":
            raise EndpointConnectionError(endpoint_url="https://ec2.mars.amazonaws.com/")
        assert tag == "lab"
        states = {"i-1": "running", "i-2": "terminated"}
        return [{"InstanceId": f"{region}-{name}", "State": {"Name": state}} for name, state in states.items()]

    monkeypatch.setattr(workers, "with_tag", with_tag)
    made = object.__new__(undeploy.Deployed)
    made.run = SimpleNamespace(region="us-east-1")
    made.parameters = {"AllowedRegions": "us-east-1,mars,us-west-2", "ManagedBy": "lab"}
    made.resources, made.stacks, made.templates = [], ["one"], {"one": {}}
    return made


def test_the_workers_of_all_regions_are_named_and_a_region_that_does_not_answer_too(deployed):
    lines = "\n".join(undeploy.staying(deployed))
    assert "ManagedBy=lab, looked for in us-east-1, mars, us-west-2 alone" in lines
    assert "worker us-east-1-i-1 in us-east-1, running" in lines and "worker us-west-2-i-1 in us-west-2" in lines
    assert "i-2" not in lines
    assert "what there is in mars is not known: " in lines and "ec2.mars.amazonaws.com" in lines


def test_without_regions_of_its_own_a_stack_has_workers_in_its_own_region(deployed):
    deployed.parameters["AllowedRegions"] = ""
    assert deployed.regions == ["us-east-1"]


def test_a_stack_of_another_template_is_none_of_ours(monkeypatch):
    monkeypatch.setattr(undeploy, "start", lambda: SimpleNamespace(stack="other"))
    monkeypatch.setattr(undeploy.stacks, "describe", lambda run, name: {"Parameters": [{"ParameterKey": "ManagedBy"}]})
    with pytest.raises(SystemExit, match="other is no stack of template.yaml: it has no parameter AllowedRegions"):
        undeploy.main()
