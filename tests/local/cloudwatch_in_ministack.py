"""Lets MiniStack read a metric without dimensions as CloudWatch does: as the metric that was published without any.

MiniStack takes a query without dimensions for one about all dimensions, and adds up what was published with none and with some.

The names that begin with _ are private: requirements.txt pins the version they were read in.
"""

from ministack.services import cloudwatch

from_list = cloudwatch._dims_from_list


class Dimensions(dict):
    """Dimensions that are asked for, be it that there are none: MiniStack compares only with what is true."""

    def __bool__(self):
        return True


def add():
    cloudwatch._dims_from_list = lambda dimensions: Dimensions(from_list(dimensions))
