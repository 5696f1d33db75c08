"""The metrics of the functions' log lines, each line's once."""

import collections
import datetime
import json

import emf
from local_stack import STACK_NAME


class Extraction:
    def __init__(self, stack, file=None):
        """With a file, another run goes on where this one ends."""
        self.stack, self.file = stack, file
        self.read = collections.Counter(json.loads(file.read_text()) if file and file.exists() else {})

    def new_lines(self):
        # Each invocation has a stream of its own in MiniStack, which only grows.
        seen = collections.Counter()
        for event in emf.events(self.stack.client("logs"), f"/aws/lambda/{STACK_NAME}-"):
            seen[event["logStreamName"]] += 1
            if seen[event["logStreamName"]] > self.read[event["logStreamName"]]:
                yield event["message"]
        self.read = seen

    def run(self, later=datetime.timedelta()):
        """Publishes what is new; gives how many data that were."""
        count = emf.put(self.stack.client("cloudwatch"), emf.metric_data(list(self.new_lines()), later))
        if self.file:
            self.file.write_text(json.dumps(self.read))
        return count
