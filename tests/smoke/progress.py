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


def until(look, seconds, pause=0.2, enough=bool):
    """Looks again, less and less often, until the answer is enough; gives the last one, good or not."""
    deadline = time.monotonic() + seconds
    while not enough(answer := look()):
        if time.monotonic() + pause > deadline:
            return answer
        time.sleep(pause)
        pause = min(pause * 2, SLOWEST_PAUSE_SECONDS)
    return answer
