"""Lets MiniStack's CloudFormation deploy the nested stacks: it refuses a template with anything that it does not know.

- AWS::CloudTrail::Trail is made by MiniStack's own CloudTrail. It delivers no event: what a trail records on AWS, nothing
  records here.
- AWS::Logs::QueryDefinition is made by nobody, and listed nowhere.
- An alarm on metric math or on a query is made of the first metric that it reads. Its expression is judged nowhere here;
  tests/template/test_alarms.py and test_monitoring.py read it from the templates.

The names that begin with _ are private: requirements.txt pins the version they were read in.
"""

import pathlib
import sys
import uuid

from ministack.services import cloudtrail
from ministack.services.cloudformation import provisioners

sys.path.append(str(pathlib.Path(__file__).parents[1] / "template"))
import metrics_insights  # noqa: E402


def done(answer):
    status, _, body = answer
    if status >= 400:
        raise ValueError(f"AWS::CloudTrail::Trail failed: {body!r}")


def create_trail(logical_id, properties, stack_name):
    name = properties["TrailName"]
    done(cloudtrail._create_trail({"Name": name, **properties}))
    if properties["IsLogging"]:
        done(cloudtrail._start_logging({"Name": name}))
    return name, {"Arn": cloudtrail._trail_arn(name)}


def update_trail(name, old_properties, properties, stack_name):
    done(cloudtrail._update_trail({"Name": name, **properties}))
    return name, {"Arn": cloudtrail._trail_arn(name)}


def delete_trail(name, properties):
    done(cloudtrail._delete_trail({"Name": name}))


def create_query(logical_id, properties, stack_name):
    identifier = str(uuid.uuid4())
    return identifier, {"QueryDefinitionId": identifier}


def update_query(identifier, old_properties, properties, stack_name):
    return identifier, {"QueryDefinitionId": identifier}


def delete_query(identifier, properties):
    pass


def first_metric(metrics):
    for one in metrics:
        if "MetricStat" in one:
            found = one["MetricStat"]
            return found["Metric"] | {"Period": found["Period"], "Statistic": found["Stat"]}
    [one] = metrics
    query = metrics_insights.read(one["Expression"])
    return {"MetricName": query.metric, "Namespace": query.namespace, "Period": one["Period"], "Statistic": query.statistic}


def without_math(alarm_record):
    def record(name, properties):
        metrics = properties.get("Metrics")
        if metrics:
            properties = {key: value for key, value in properties.items() if key != "Metrics"} | first_metric(metrics)
        return alarm_record(name, properties)

    return record


def add():
    trail = {"create": create_trail, "update": update_trail, "delete": delete_trail}
    query = {"create": create_query, "update": update_query, "delete": delete_query}
    provisioners._RESOURCE_HANDLERS |= {"AWS::CloudTrail::Trail": trail, "AWS::Logs::QueryDefinition": query}
    provisioners._cw_metric_alarm_record = without_math(provisioners._cw_metric_alarm_record)
