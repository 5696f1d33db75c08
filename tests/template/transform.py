"""Prints a packaged template as SAM on AWS transforms it, with the parameters' values. MiniStack transforms without them.

    transform.py packaged.yaml AllowedRegions=us-east-1,us-west-2 …
"""

import json
import sys

from samtranslator.yaml_helper import yaml_parse

from cloudformation import transformed


def main(path, *parameters):
    with open(path, encoding="utf-8") as file:
        template = yaml_parse(file)
    print(json.dumps(transformed(dict(parameter.split("=", 1) for parameter in parameters), template)))


if __name__ == "__main__":
    main(*sys.argv[1:])
