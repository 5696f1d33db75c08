"""Ctrl-C, SIGTERM and a closed terminal: the first one ends the run in order, the next ones do not end its clean-up."""

import signal

from progress import say


class Interrupted(BaseException):
    """Not an Exception: nobody who handles AWS's errors on the way takes it for one."""


class Interruption:
    def __init__(self, cleaning):
        self.cleaning = cleaning
        numbers = [signal.SIGINT, signal.SIGTERM]
        # Under nohup a closed terminal ends nothing.
        if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
            numbers.append(signal.SIGHUP)
        for number in numbers:
            signal.signal(number, self.handle)

    def handle(self, number, _frame):
        if self.cleaning:
            say("the clean-up goes on: what it does not remove costs money (kill -9 ends it, and --clean resumes it)")
            return
        # Set before it is raised, so that there is only ever one.
        self.cleaning = True
        raise Interrupted(signal.Signals(number).name)
