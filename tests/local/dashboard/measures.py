"""What AWS itself and the agent on a worker publish, and nobody here does."""

import datetime
import math

from local_stack import now


def put_worker(cloudwatch, instance_id, place, cpu, memory, minutes):
    """CPU and memory of these minutes ago: around a mean, each worker in its own phase."""
    for metric, namespace, mean in (("CPUUtilization", "AWS/EC2", cpu), ("mem_used_percent", "CWAgent", memory)):
        data = [{
            "MetricName": metric, "Dimensions": [{"Name": "InstanceId", "Value": instance_id}], "Unit": "Percent",
            "Timestamp": now() - datetime.timedelta(minutes=minute), "Value": mean * (1 + 0.25 * math.sin(minute / 17 + place)),
        } for minute in minutes]
        cloudwatch.put_metric_data(Namespace=namespace, MetricData=data)


def put_api(stack, statuses, time):
    """API Gateway's metric of its own errors, from the statuses that callers got. Nothing reads its other ones."""
    [api] = [item for item in stack.client("apigateway").get_rest_apis()["items"] if item["id"] == stack.rest_api_id]
    dimensions = [{"Name": "ApiName", "Value": api["name"]}, {"Name": "Stage", "Value": stack.info["stage"]}]
    stack.client("cloudwatch").put_metric_data(Namespace="AWS/ApiGateway", MetricData=[{
        "MetricName": "5XXError", "Dimensions": dimensions, "Timestamp": time, "Unit": "Count", "Values": [float(status >= 500) for status in statuses],
    }])
