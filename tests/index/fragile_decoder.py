"""A decoder that dies of some videos and never ends on others, as real ones can."""

import os
import signal
import time
from pathlib import Path

from marey.video import Verdict, check_video


def fragile(file: Path) -> Verdict:
    """Judge the video, unless its name says what shall happen."""
    if "crash" in file.name:
        os.kill(os.getpid(), signal.SIGKILL)
    if "hang" in file.name:
        time.sleep(600)
    if "bug" in file.name:
        raise ZeroDivisionError("a bug")
    return check_video(file)
