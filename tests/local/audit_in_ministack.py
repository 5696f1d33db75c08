"""Lets MiniStack's CloudFormation deploy iam/audit.yaml: it refuses a template with anything that it does not know.

- AWS::CloudTrail::Trail is made by MiniStack's own CloudTrail. It delivers no event: what a trail records on AWS, nothing
  records here.
- An alarm on metric math is made of the metric that the math begins with. Its expression is judged nowhere here;
  tests/template/test_alarms.py reads it from the template.

The names that begin with _ are private: requirements.txt pins the version they were read in.
"""

from ministack.services import cloudtrail
from ministack.services.cloudformation import provisioners


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


def without_math(alarm_record):
    def record(name, properties):
        metrics = properties.get("Metrics")
        if metrics:
            first = metrics[0]["MetricStat"]
            properties = {key: value for key, value in properties.items() if key != "Metrics"}
            properties |= first["Metric"] | {"Period": first["Period"], "Statistic": first["Stat"]}
        return alarm_record(name, properties)

    return record


def add():
    trail = {"create": create_trail, "update": update_trail, "delete": delete_trail}
    provisioners._RESOURCE_HANDLERS["AWS::CloudTrail::Trail"] = trail
    provisioners._cw_metric_alarm_record = without_math(provisioners._cw_metric_alarm_record)
