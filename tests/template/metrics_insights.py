"""CloudWatch's Metrics Insights, as far as monitoring.yaml uses it: one form of query, and nothing else is read.

From "Query components and syntax in CloudWatch Metrics Insights": SCHEMA selects "only the metrics that exactly match a list of
dimensions", WHERE knows =, != and AND, GROUP BY makes a series of each combination of the values of its labels, and ORDER BY sorts
the series by a function of their points. Names in quotation marks are no keywords, whatever the list of these is.
"""

import re
from dataclasses import dataclass

NAME = r'"([^"\\]+)"'
# What CloudWatch calls them as statistics of one metric.
STATISTICS = {"MAX": "Maximum", "MIN": "Minimum", "SUM": "Sum", "AVG": "Average"}
NAMES = rf'{NAME}(?:, {NAME})*'
FORM = re.compile(
    rf"SELECT (?P<statistic>MAX|MIN|SUM|AVG)\({NAME}\) FROM SCHEMA\((?P<schema>{NAMES})\)"
    rf"(?: WHERE {NAME} != '(?P<not>[^'\\]+)')? GROUP BY (?P<group>{NAMES})"
    r"(?: ORDER BY (?P<order>MAX|MIN|SUM|AVG)\(\) DESC)?"
)


@dataclass(frozen=True)
class Query:
    statistic: str
    namespace: str
    metric: str
    dimensions: tuple
    unwanted: tuple | None
    group: tuple
    order: str | None = None

    def selects(self, dimensions):
        """Whether a metric with these dimensions, by name, is read."""
        if set(dimensions) != set(self.dimensions):
            return False
        return self.unwanted is None or dimensions[self.unwanted[0]] != self.unwanted[1]

    def contributor(self, dimensions):
        return tuple(dimensions[label] for label in self.group)


def read(text):
    """The query; an AssertionError for one of another form."""
    found = FORM.fullmatch(text)
    assert found, f"not the form of a query that is read here: {text}"
    names = lambda part: tuple(re.findall(NAME, part))  # noqa: E731
    namespace, *dimensions = names(found["schema"])
    metric = re.search(rf"\({NAME}\) FROM", text)[1]
    where = re.search(rf"WHERE {NAME} != '", text)
    query = Query(STATISTICS[found["statistic"]], namespace, metric, tuple(dimensions), where and (where[1], found["not"]), names(found["group"]),
                  STATISTICS.get(found["order"]))
    assert set(query.group) <= set(query.dimensions), f"a label that no metric of SCHEMA has: {text}"
    return query


def is_query(text):
    return text.lstrip().upper().startswith("SELECT")
