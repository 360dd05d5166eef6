"""Watching all day takes no more memory than watching for a minute."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from marey.video import write_video

CODE = """
import sys, threading
from pathlib import Path
from marey.watching import Capture, Handover, source_of
from marey.watching._pictures import SmallPictures

handover = Handover(4)
# Without pauses a day is over in a moment.
capture = Capture(source_of(sys.argv[1]), handover, loop=True, wait=lambda seconds: False)
threading.Thread(target=capture.run, daemon=True).start()
pictures, resident = None, []
for number in range(2001):
    shot = handover.take(10.0)
    pictures = pictures or SmallPictures(shot.frame, 112)
    pictures.of(shot.frame)
    if number in (500, 2000):
        resident.append(int(Path("/proc/self/statm").read_text().split()[1]))
capture.stop()
print(*resident)
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="no /proc to read memory from")
def test_memory_stays_where_it_is_while_frames_pass(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (30, 240, 320, 3), dtype=np.uint8)
    write_video(tmp_path / "noise.mp4", noise)
    ran = subprocess.run(
        [sys.executable, "-c", CODE, tmp_path / "noise.mp4"],
        check=True,
        capture_output=True,
        text=True,
    )
    early, late = (int(word) for word in ran.stdout.split())
    assert late < 1.05 * early
