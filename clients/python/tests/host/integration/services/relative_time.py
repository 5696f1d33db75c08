"""Times in words."""

import datetime


def relative_time(past_datetime: datetime.datetime) -> str:
    """How long ago."""
    return f"{datetime.datetime.now(datetime.UTC) - past_datetime} ago"
