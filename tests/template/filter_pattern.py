"""CloudWatch Logs' filter patterns for JSON, as far as iam/audit.yaml uses them.

The syntax is that of "Filter pattern syntax for metric filters" (Amazon CloudWatch Logs User Guide): selectors, = and != with
* as a wildcard, NOT EXISTS, && before ||, parentheses; what is case-sensitive there is here. The page does not say whether !=
holds for a field that is absent, so a pattern is judged both ways and may not depend on it.
"""

import fnmatch
import re

import pyparsing

# "metric filter: FilterPattern", CloudWatch Logs' service model.
MOST = 1_024

ABSENT = object()


def value_of(event, selector):
    for name in selector.removeprefix("$.").split("."):
        if not isinstance(event, dict) or name not in event:
            return ABSENT
        event = event[name]
    return event


def is_like(value, pattern):
    # fnmatch knows [ and ? too: here they are letters like others.
    return fnmatch.fnmatchcase(str(value), re.sub(r"[\[?]", lambda letter: f"[{letter[0]}]", pattern))


def comparison(tokens):
    selector, operator, pattern = tokens

    def holds(event, unequal_if_absent):
        value = value_of(event, selector)
        if value is ABSENT:
            return operator == "!=" and unequal_if_absent
        return is_like(value, pattern) == (operator == "=")

    return holds


def absence(tokens):
    return lambda event, _: value_of(event, tokens[0]) is ABSENT


def compound(combine):
    def of(tokens):
        terms = tokens[0][::2]
        return lambda event, unequal_if_absent: combine(term(event, unequal_if_absent) for term in terms)

    return of


def grammar():
    selector = pyparsing.Regex(r"\$(\.[A-Za-z_][A-Za-z0-9_]*)+")
    text = pyparsing.QuotedString('"')
    compared = (selector + pyparsing.one_of("= !=") + text).set_parse_action(comparison)
    absent = (selector + pyparsing.Suppress("NOT EXISTS")).set_parse_action(absence)
    operators = [
        ("&&", 2, pyparsing.OpAssoc.LEFT, compound(all)),
        ("||", 2, pyparsing.OpAssoc.LEFT, compound(any)),
    ]
    expression = pyparsing.infix_notation(absent | compared, operators)
    return pyparsing.Suppress("{") + expression + pyparsing.Suppress("}")


def matches(pattern, event):
    """Whether the pattern matches the event."""
    assert len(pattern) <= MOST, f"a pattern of {len(pattern)} characters"
    holds = grammar().parse_string(pattern, parse_all=True)[0]
    verdicts = {holds(event, unequal_if_absent) for unequal_if_absent in (True, False)}
    assert len(verdicts) == 1, f"{pattern} depends on what != is of an absent field, which AWS does not say"
    return verdicts.pop()
