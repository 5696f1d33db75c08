"""CloudWatch's SEARCH, by "CloudWatch search expression syntax": which of the known metrics it finds.

    SEARCH('{Namespace,Dimension} MetricName="Requests" Operation=("a" OR "b") NOT word', 'Sum', 300)
"""

import dataclasses
import functools
import re

import pyparsing

CALL = re.compile(r"""SEARCH\(\s*(['"])(?P<query>.*?)\1\s*,\s*(['"])(?P<stat>[^'"]*)\3\s*(?:,\s*(?P<period>\d+)\s*)?\)""", re.DOTALL)


@dataclasses.dataclass
class Search:
    """A call of SEARCH; without a period, that of its expression."""

    query: str
    stat: str
    period: int | None

    @classmethod
    def of(cls, match):
        return cls(match["query"].replace('\\"', '"'), match["stat"], int(match["period"]) if match["period"] else None)


@functools.cache
def grammar():
    """A query as a pair: the schema's words, and a function of a metric's names and values."""
    quoted = pyparsing.QuotedString('"').set_parse_action(lambda tokens: ("exactly", tokens[0]))
    word = pyparsing.Regex(r'(?!(?:AND|OR|NOT)\b)[^\s"(){}=,]+').set_parse_action(lambda tokens: ("partly", tokens[0].lower()))
    token = quoted | word

    def of_token(tokens):
        how, text = tokens[0]
        return (lambda value: value == text) if how == "exactly" else (lambda value: text in value.lower())

    def of_name(tokens):
        (_, name), test = tokens
        return lambda metric: any(test(value) for key, value in metric.items() if key.lower() == name.lower())

    def of_any(tokens):
        return lambda metric: any(tokens[0](value) for value in metric.values())

    def logic(term):
        return pyparsing.infix_notation(term, [
            (pyparsing.Keyword("NOT"), 1, pyparsing.OpAssoc.RIGHT, lambda tokens: negation(tokens[0][1])),
            (pyparsing.Optional(pyparsing.Keyword("AND")), 2, pyparsing.OpAssoc.LEFT, lambda tokens: several(all, tokens[0])),
            (pyparsing.Keyword("OR"), 2, pyparsing.OpAssoc.LEFT, lambda tokens: several(any, tokens[0])),
        ])

    test = token.copy().add_parse_action(of_token)
    named = token + pyparsing.Suppress("=") + (test | pyparsing.Suppress("(") + logic(test) + pyparsing.Suppress(")"))
    term = named.set_parse_action(of_name) | token.copy().add_parse_action(of_token).add_parse_action(of_any)
    name = (pyparsing.QuotedString('"') | pyparsing.Regex(r'[^\s"{},]+'))
    schema = pyparsing.Suppress("{") + pyparsing.Group(pyparsing.DelimitedList(name)) + pyparsing.Suppress("}")
    return schema + pyparsing.Optional(logic(term), default=lambda metric: True)


def negation(test):
    return lambda value: not test(value)


def several(combine, tokens):
    tests = [test for test in tokens if callable(test)]
    return lambda value: combine(test(value) for test in tests)


def found(search, metrics):
    """Those of ListMetrics' metrics that the query finds: of its namespace, with exactly its dimensions."""
    (namespace, *dimensions), test = grammar().parse_string(search.query, parse_all=True)
    matching = []
    for metric in metrics:
        values = {dimension["Name"]: dimension["Value"] for dimension in metric["Dimensions"]}
        if metric["Namespace"] == namespace and sorted(values) == sorted(dimensions):
            if test({"MetricName": metric["MetricName"], **values}):
                matching.append(metric)
    return sorted(matching, key=lambda metric: [dimension["Value"] for dimension in metric["Dimensions"]])
