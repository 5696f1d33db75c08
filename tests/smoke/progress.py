"""Progress lines, and waiting for what AWS does in its own time."""

import time

SLOWEST_PAUSE_SECONDS = 5


def say(text):
    tell(f"{time.strftime('%H:%M:%S')} {text}")


def tell(text):
    try:
        print(text, flush=True)
    except OSError:
        pass  # Whoever read along has gone; what was made is removed all the same.


def until(look, seconds, pause=0.2):
    """Looks again, less and less often, until there is an answer; gives the last one, good or not."""
    deadline = time.monotonic() + seconds
    while not (answer := look()):
        if time.monotonic() + pause > deadline:
            return answer
        time.sleep(pause)
        pause = min(pause * 2, SLOWEST_PAUSE_SECONDS)
    return answer
