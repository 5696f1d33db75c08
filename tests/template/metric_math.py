"""CloudWatch's metric math, as far as iam/audit.yaml and monitoring.yaml use it.

From "Using math expressions with CloudWatch metrics": IF(condition, value, other), comparisons that are 0 or 1, && and ||,
arithmetic ("Missing values in a time series are treated as 0. If the value of a data point causes a function to attempt to divide by
zero, the data point is dropped"), SERVICE_QUOTA, and HOUR and DAY, which read the time that a data point is stamped with, in UTC; Monday is 1 and Sunday 7. "When statistics are
aggregated over a period of time, they are stamped with the time corresponding to the beginning of the period" (Amazon
CloudWatch concepts).
"""

import datetime
import functools
import operator

import pyparsing

PERIOD = datetime.timedelta(minutes=5)

# "Lambda quotas": concurrent executions, 1,000 by default.
QUOTA = 1_000


def stamp(time):
    """What a data point of five minutes that holds this time is stamped with."""
    midnight = time.replace(hour=0, minute=0, second=0, microsecond=0)
    return time - (time - midnight) % PERIOD


OPERATIONS = {
    "==": lambda one, other: int(one == other),
    ">=": lambda one, other: int(one >= other),
    "+": operator.add,
    "*": operator.mul,
    "/": operator.truediv,
}


def value_of(point, name):
    """The metric's value; of iam/audit.yaml's expressions, which have one metric, by whatever name."""
    value = point["values"][name] if "values" in point else point["value"]
    return 0 if value is None else value


@functools.cache
def grammar():
    expression = pyparsing.Forward()
    name = pyparsing.Regex("[a-z][A-Za-z0-9_]*")
    number = pyparsing.Regex(r"\d+").set_parse_action(lambda tokens: lambda point: int(tokens[0]))
    metric = name.copy().set_parse_action(lambda tokens: lambda point: value_of(point, tokens[0]))
    opening, closing, comma = map(pyparsing.Suppress, "(),")

    def of_time(function, read):
        call = pyparsing.Suppress(function) + opening + name.copy().suppress() + closing
        return call.set_parse_action(lambda: lambda point: read(point["time"]))

    choice = pyparsing.Suppress("IF") + opening + expression + comma + expression + comma + expression + closing
    choice.set_parse_action(lambda tokens: lambda point: (tokens[1] if tokens[0](point) else tokens[2])(point))
    quota = pyparsing.Suppress("SERVICE_QUOTA") + opening + name.copy().suppress() + closing
    quota.set_parse_action(lambda: lambda point: QUOTA)
    hour, day = of_time("HOUR", lambda time: time.hour), of_time("DAY", lambda time: time.isoweekday())

    def compound(combine):
        return lambda tokens: lambda point: int(combine(term(point) for term in tokens[0][::2]))

    def chained(tokens):
        def of(point):
            [first, *rest] = tokens[0]
            found = first(point)
            for operation, term in zip(rest[::2], rest[1::2]):
                found = OPERATIONS[operation](found, term(point))
            return found

        return of

    operators = [
        (pyparsing.one_of("* /"), 2, pyparsing.OpAssoc.LEFT, chained),
        ("+", 2, pyparsing.OpAssoc.LEFT, chained),
        (pyparsing.one_of("== >="), 2, pyparsing.OpAssoc.LEFT, chained),
        ("&&", 2, pyparsing.OpAssoc.LEFT, compound(all)),
        ("||", 2, pyparsing.OpAssoc.LEFT, compound(any)),
    ]
    expression <<= pyparsing.infix_notation(choice | quota | hour | day | number | metric, operators)
    return expression


def value(expression, time, count):
    """What the expression is for a metric that counts `count` at this time."""
    return grammar().parse_string(expression, parse_all=True)[0]({"time": stamp(time), "value": count})


def result(expression, values):
    """What the expression is for these values of its metrics in one period; nothing where nothing was measured."""
    if all(value is None for value in values.values()):
        return None
    try:
        return grammar().parse_string(expression, parse_all=True)[0]({"values": values})
    except ZeroDivisionError:
        return None
