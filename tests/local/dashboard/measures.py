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


def put_api(stack, calls, time):
    """API Gateway's metrics of calls, as their caller saw them: each with its status, its answer and its milliseconds."""
    [api] = [item for item in stack.client("apigateway").get_rest_apis()["items"] if item["id"] == stack.rest_api_id]
    name, stage = {"Name": "ApiName", "Value": api["name"]}, {"Name": "Stage", "Value": stack.info["stage"]}
    statuses = [status for status, _, _ in calls]
    values = {
        "Count": ([1.0] * len(calls), "Count"),
        "4XXError": ([float(400 <= status < 500) for status in statuses], "Count"),
        "5XXError": ([float(status >= 500) for status in statuses], "Count"),
        "Latency": ([milliseconds for _, _, milliseconds in calls], "Milliseconds"),
    }
    stack.client("cloudwatch").put_metric_data(Namespace="AWS/ApiGateway", MetricData=[
        {"MetricName": metric, "Dimensions": dimensions, "Timestamp": time, "Values": numbers, "Unit": unit}
        for dimensions in ([name], [name, stage]) for metric, (numbers, unit) in values.items()])
