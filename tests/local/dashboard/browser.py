"""A picture of the page, if this machine has a browser."""

import pathlib
import shutil
import subprocess
import tempfile

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
WIDTH = 1600


def find():
    return next(filter(None, map(shutil.which, NAMES)), None)


def screenshot(page, picture, height):
    """Takes it and gives the picture's path, or says why there is none."""
    browser = find()
    if browser is None:
        return f"no picture: none of {', '.join(NAMES)} is installed"
    with tempfile.TemporaryDirectory() as profile:
        command = [
            browser, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--user-data-dir={profile}",
            "--virtual-time-budget=20000", f"--window-size={WIDTH},{height}", f"--screenshot={picture}", pathlib.Path(page).as_uri(),
        ]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        except subprocess.TimeoutExpired:
            return f"no picture: {browser} takes longer than two minutes"
    return str(picture) if picture.exists() else f"no picture: {browser} says {done.stderr.strip().splitlines()[-1:]}"
