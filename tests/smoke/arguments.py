"""The command line: what to deploy, where, and for how long."""

import argparse
import contextlib
import pathlib
import re

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]

# Function names are <stack>-<operation>, at most 64 characters.
# The functions' names leave 29 characters; the trail's name takes no dash beside another one.
STACK_NAME = re.compile(r"(?=.{1,29}$)[A-Za-z](-?[A-Za-z0-9])*")


def stack_name(text):
    if STACK_NAME.fullmatch(text):
        return text
    raise argparse.ArgumentTypeError("a stack's name here is a letter and up to 28 letters, digits and single dashes between them")


def not_negative(text):
    with contextlib.suppress(ValueError):
        if (number := float(text)) >= 0:
            return number
    raise argparse.ArgumentTypeError("it must be a number that is not negative")


def parser():
    made = argparse.ArgumentParser(
        prog="tests/smoke",
        description="Deploys the product to an AWS account, sees what it does, and removes all of it again.")
    deployed(made)
    launched(made)
    watched(made)
    return made


def deployed(made):
    made.add_argument("--stack", type=stack_name, required=True, help="name of a stack that does not exist yet")
    made.add_argument("--bucket", required=True, help="your S3 bucket for the code, in the same region")
    made.add_argument("--confirm", metavar="ACCOUNT_ID", help="the account that may be changed; without it nothing is")
    made.add_argument("--template", type=pathlib.Path, default=REPOSITORY, metavar="FOLDER",
                      help="folder of template.yaml and the built functions (default: the repository)")
    made.add_argument("--architecture", default="x86_64", choices=["x86_64", "arm64"],
                      help="what the functions were built for (x86_64)")
    made.add_argument("--check", action="store_true", help="only look whether a run could begin, before the long build")
    made.add_argument("--clean", action="store_true", help="only remove what an earlier run of this stack has left")


def launched(made):
    made.add_argument("--image-id", metavar="AMI",
                      help="image to launch (default: Amazon Linux 2023, by the parameter that names it)")
    made.add_argument("--two-volume-image-id", metavar="AMI", help="image with two volumes, to see both encrypted")
    made.add_argument("--instance-type", metavar="TYPE", help="type to launch (default: the smallest allowed one)")
    made.add_argument("--instance-types", metavar="PATTERNS",
                      help="the stack's AllowedInstanceTypes (default: the template's)")
    made.add_argument("--subnet-id", metavar="SUBNET", help="subnet to launch into (default: one of the default VPC)")
    made.add_argument("--security-group-id", metavar="GROUP", help="security group (default: the VPC's own)")


def watched(made):
    made.add_argument("--minutes", type=not_negative, default=20.0, help="how long to watch the utilization (20)")
    made.add_argument("--poll-seconds", type=not_negative, default=60.0, help="pause between two looks at it (60)")
    made.add_argument("--lag-seconds", type=not_negative, default=15.0, metavar="SECONDS",
                      help="how long EC2 is given to show a second launch (15)")
    # CloudTrail delivers after about five minutes, a new stage's access log after one or two.
    made.add_argument("--delivery-minutes", type=not_negative, default=10.0, metavar="MINUTES",
                      help="how long to wait for a line of the trail and of the access log (10)")
    made.add_argument("--api-endpoint", metavar="URL",
                      help="where the API is, with {rest_api_id} in it, when it is not where AWS puts it")
