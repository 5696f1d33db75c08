"""The state of a CloudWatch alarm, from its own properties and from what was measured.

From "Evaluating an alarm" and "How alarm state is evaluated when data is missing" (Amazon CloudWatch User Guide): CloudWatch reads
more points than there are evaluation periods; if as many are there, the newest count, and the missing ones do not; else they are
filled in as TreatMissingData says. What the page says of `missing` and `ignore` is not here: no alarm of ours has them.

From "Alarm evaluation windows": a window slides. It "advances each time the alarm is evaluated", each minute, so that its periods begin
anywhere, and not where those of a history do.
"""

import operator

import metric_math
import metrics_insights

ALARM, OK = "ALARM", "OK"

COMPARISONS = {
    "GreaterThanOrEqualToThreshold": operator.ge,
    "GreaterThanThreshold": operator.gt,
    "LessThanThreshold": operator.lt,
    "LessThanOrEqualToThreshold": operator.le,
}
STATISTICS = {
    "Sum": sum, "Maximum": max, "Minimum": min, "SampleCount": len, "Average": lambda samples: sum(samples) / len(samples),
}


def state(alarm, points):
    """The state after these points, the newest last; None is a period without one."""
    wanted = alarm["EvaluationPeriods"]
    assert len(points) >= wanted, f"{len(points)} points of {wanted}"
    breaches = [holds(alarm, point) for point in points if point is not None][-wanted:]
    missing = wanted - len(breaches)
    if missing:
        breaches += [{"breaching": True, "notBreaching": False}[alarm["TreatMissingData"]]] * missing
    return ALARM if sum(breaches) >= alarm.get("DatapointsToAlarm", wanted) else OK


def holds(alarm, point):
    return COMPARISONS[alarm["ComparisonOperator"]](point, float(alarm["Threshold"]))


def statistic(name, samples):
    return STATISTICS[name](samples) if samples else None


def dimensions_of(metric):
    return {dimension["Name"]: dimension["Value"] for dimension in metric.get("Dimensions", [])}


def points_of(metric, name, periods):
    """A metric's point in each period: `periods` are lists of (namespace, metric, dimensions, sample)."""
    wanted = (metric["Namespace"], metric["MetricName"], dimensions_of(metric))
    return [statistic(name, [sample for *which, sample in period if tuple(which) == wanted]) for period in periods]


def series(alarm, periods):
    """{contributor: points} of what the alarm watches; a metric or an expression has one contributor, without a name."""
    if "Metrics" not in alarm:
        return {(): points_of(alarm, alarm["Statistic"], periods)}
    watched = [metric for metric in alarm["Metrics"] if metric.get("ReturnData", True)]
    assert len(watched) == 1, "CloudWatch refuses an alarm of which two series return data"
    expression = watched[0]["Expression"]
    if metrics_insights.is_query(expression):
        return contributors(metrics_insights.read(expression), periods)
    metrics = {one["Id"]: one["MetricStat"] for one in alarm["Metrics"] if "MetricStat" in one}
    values = {name: points_of(stat["Metric"], stat["Stat"], periods) for name, stat in metrics.items()}
    return {(): [metric_math.result(expression, {name: points[at] for name, points in values.items()}) for at in range(len(periods))]}


def contributors(query, periods):
    found = {}
    for at, period in enumerate(periods):
        for namespace, metric, dimensions, sample in period:
            if (namespace, metric) == (query.namespace, query.metric) and query.selects(dimensions):
                found.setdefault(query.contributor(dimensions), [[] for _ in periods])[at].append(sample)
    return {who: [statistic(query.statistic, samples) for samples in points] for who, points in found.items()}


def periods_of(alarm):
    """The periods, in seconds, of what the alarm reads."""
    return {seconds for one in alarm.get("Metrics", [alarm]) if (seconds := one.get("Period") or one.get("MetricStat", {}).get("Period"))}


def minutes_of(alarm):
    [period] = periods_of(alarm)
    return period // 60


def moments(periods, length):
    """[(minute, sample)]: the samples of a series lie evenly in their period."""
    found = []
    for at, period in enumerate(periods):
        series = {}
        for namespace, metric, dimensions, value in period:
            series.setdefault((namespace, metric, tuple(dimensions.items())), []).append((namespace, metric, dimensions, value))
        for samples in series.values():
            found += [((at + (number + 0.5) / len(samples)) * length, sample) for number, sample in enumerate(samples)]
    return found


def slid(alarm, periods):
    """These periods as the alarm sees them at each minute, if they come again for ever."""
    length = minutes_of(alarm)
    whole, samples = length * len(periods), moments(periods, length)
    for minute in range(whole):
        found = [[] for _ in periods]
        for when, sample in samples:
            found[int((when - minute) % whole // length)].append(sample)
        yield found


def ringing_at_some_minute(alarm, periods):
    return set().union(*(ringing(alarm, seen) for seen in slid(alarm, periods)))


def ringing(alarm, periods):
    """The contributors for which the alarm rings after these periods."""
    # Without a series there is nothing that could be missing in a query, and in a metric everything is.
    return {who for who, points in series(alarm, periods).items() if state(alarm, points) == ALARM}
