"""CloudWatch's metric math, as far as iam/audit.yaml uses it.

From "Using math expressions with CloudWatch metrics": IF(condition, value, other), comparisons that are 0 or 1, && and ||, and
HOUR and DAY, which read the time that a data point is stamped with, in UTC; Monday is 1 and Sunday 7. "When statistics are
aggregated over a period of time, they are stamped with the time corresponding to the beginning of the period" (Amazon
CloudWatch concepts).
"""

import datetime

import pyparsing

PERIOD = datetime.timedelta(minutes=5)


def stamp(time):
    """What a data point of five minutes that holds this time is stamped with."""
    midnight = time.replace(hour=0, minute=0, second=0, microsecond=0)
    return time - (time - midnight) % PERIOD


def grammar():
    expression = pyparsing.Forward()
    name = pyparsing.Regex("[a-z][A-Za-z0-9_]*")
    number = pyparsing.Regex(r"\d+").set_parse_action(lambda tokens: lambda point: int(tokens[0]))
    metric = name.copy().set_parse_action(lambda tokens: lambda point: point["value"])
    opening, closing, comma = map(pyparsing.Suppress, "(),")

    def of_time(function, read):
        call = pyparsing.Suppress(function) + opening + name.copy().suppress() + closing
        return call.set_parse_action(lambda: lambda point: read(point["time"]))

    choice = pyparsing.Suppress("IF") + opening + expression + comma + expression + comma + expression + closing
    choice.set_parse_action(lambda tokens: lambda point: (tokens[1] if tokens[0](point) else tokens[2])(point))
    hour, day = of_time("HOUR", lambda time: time.hour), of_time("DAY", lambda time: time.isoweekday())

    def compound(combine):
        return lambda tokens: lambda point: int(combine(term(point) for term in tokens[0][::2]))

    equality = lambda tokens: lambda point: int(tokens[0][0](point) == tokens[0][2](point))  # noqa: E731
    operators = [
        ("==", 2, pyparsing.OpAssoc.LEFT, equality),
        ("&&", 2, pyparsing.OpAssoc.LEFT, compound(all)),
        ("||", 2, pyparsing.OpAssoc.LEFT, compound(any)),
    ]
    expression <<= pyparsing.infix_notation(choice | hour | day | number | metric, operators)
    return expression


def value(expression, time, count):
    """What the expression is for a metric that counts `count` at this time."""
    return grammar().parse_string(expression, parse_all=True)[0]({"time": stamp(time), "value": count})
