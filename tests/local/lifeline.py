"""Runs a command that cannot outlive whoever started this.

    lifeline.py PID_FILE COMMAND [ARGUMENT...]

The starter holds the other end of stdin. When that end closes, whether in order, in a panic or by `kill -9`, the command and
everything it started is ended: asked first, then made to. The command's process id is written to PID_FILE.
"""

import ctypes
import glob
import os
import signal
import subprocess
import sys
import threading
import time

GRACE_SECONDS = 3
PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans():
    """What the command leaves behind becomes our child, in whatever process group it is. Linux only."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def signal_group(group, number):
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        pass


def end_when_stdin_closes(group):
    # Not sys.stdin: its lock, held by a blocked reader, aborts Python at exit.
    os.read(0, 1)
    signal_group(group, signal.SIGTERM)
    time.sleep(GRACE_SECONDS)
    signal_group(group, signal.SIGKILL)


def children():
    for file in glob.glob("/proc/self/task/*/children"):
        with open(file, encoding="ascii") as pids:
            yield from map(int, pids.read().split())


def end_orphans():
    """Ends our children until there are none: those of an orphan that ended are ours next."""
    while orphans := list(children()):
        for pid in orphans:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def main():
    pid_file, *command = sys.argv[1:]
    adopt_orphans()
    # A session of its own: a Ctrl-C at the terminal reaches the starter alone, which then ends things in order.
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    with open(pid_file + ".new", "w", encoding="ascii") as file:
        file.write(str(child.pid))
    os.replace(pid_file + ".new", pid_file)
    threading.Thread(target=end_when_stdin_closes, args=[child.pid], daemon=True).start()
    # Until it is reaped its id is not given to anyone else, so what is killed here is its own group.
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    signal_group(child.pid, signal.SIGKILL)
    status = child.wait()
    end_orphans()
    sys.exit(status if status >= 0 else 128 - status)


if __name__ == "__main__":
    main()
