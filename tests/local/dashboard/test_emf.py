"""What becomes of log lines in the embedded metric format."""

import datetime
import json

import emf

AT = datetime.datetime(2026, 11, 27, 10, 0, tzinfo=datetime.timezone.utc)


def directive(dimensions, *metrics, namespace="CML/a"):
    metrics = [{"Name": name, "Unit": unit} if unit else {"Name": name} for name, unit in metrics]
    return {"Namespace": namespace, "Dimensions": dimensions, "Metrics": metrics}


def line(directives, **members):
    return json.dumps({"_aws": {"Timestamp": int(AT.timestamp() * 1000), "CloudWatchMetrics": directives}, **members})


def short(lines, **more):
    """Namespace, metric, dimensions, values with their counts, unit."""
    return [
        (namespace, datum["MetricName"], {d["Name"]: d["Value"] for d in datum["Dimensions"]}, dict(zip(datum["Values"], datum["Counts"])), datum["Unit"])
        for namespace, datum in emf.metric_data(lines, **more)
    ]


def test_each_set_of_dimensions_is_a_metric_and_the_empty_one_too():
    found = short([line([directive([[], ["Operation"]], ("Requests", "Count"))], Operation="health", Requests=1)])

    assert found == [
        ("CML/a", "Requests", {}, {1: 1}, "Count"),
        ("CML/a", "Requests", {"Operation": "health"}, {1: 1}, "Count"),
    ]


def test_each_directive_has_its_own_namespace_dimensions_and_metrics():
    directives = [
        directive([[]], ("Latency", "Milliseconds")),
        directive([["Operation", "Code"]], ("Errors", None), namespace="CML/b"),
    ]
    found = short([line(directives, Operation="health", Code="throttled", Latency=12.5, Errors=1)])

    assert found == [
        ("CML/a", "Latency", {}, {12.5: 1}, "Milliseconds"),
        ("CML/b", "Errors", {"Operation": "health", "Code": "throttled"}, {1: 1}, "None"),
    ]


def test_a_list_of_values_is_all_of_them():
    [(_, _, _, values, _)] = short([line([directive([[]], ("Latency", "Milliseconds"))], Latency=[5, 7, 5])])

    assert values == {5: 2, 7: 1}


def test_the_time_is_the_lines_own_and_can_be_moved():
    text = line([directive([[]], ("Requests", "Count"))], Requests=1)

    [(_, datum)] = emf.metric_data([text])
    [(_, moved)] = emf.metric_data([text], datetime.timedelta(hours=-1))

    assert datum["Timestamp"] == AT and moved["Timestamp"] == AT - datetime.timedelta(hours=1)


def test_what_a_line_lacks_is_left_out_and_the_rest_is_not():
    directives = [directive([["Operation"], ["Nobody"]], ("Requests", "Count"), ("Absent", "Count"), ("Text", "Count"), ("Flag", "Count"))]
    found = short([line(directives, Operation="health", Requests=0, Text="1", Flag=True)])

    assert found == [("CML/a", "Requests", {"Operation": "health"}, {0: 1}, "Count")]


def test_a_number_is_no_dimension_and_101_values_are_too_many():
    directives = [directive([["Operation"]], ("Requests", "Count")), directive([[]], ("Many", "Count"))]

    assert short([line(directives, Operation=1, Requests=1, Many=[1] * 101)]) == []


def test_other_lines_are_none():
    assert short(["START RequestId: 1", "{", "[]", "null", '{"_aws": 1}', '{"_aws": {"CloudWatchMetrics": []}}', '{"fields": {"message": "done"}}']) == []


class CloudWatch:
    def __init__(self):
        self.calls = []

    def put_metric_data(self, Namespace, MetricData):
        self.calls.append((Namespace, len(MetricData)))


def test_a_call_has_one_namespace_and_no_more_data_than_are_taken():
    cloudwatch = CloudWatch()
    data = [("a", {"MetricName": str(i)}) for i in range(501)] + [("b", {"MetricName": "x"})]

    assert emf.put(cloudwatch, data) == 502
    assert cloudwatch.calls == [("a", 500), ("a", 1), ("b", 1)]
