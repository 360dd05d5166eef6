"""Frames leave memory as soon as nobody wants them."""

import gc
from pathlib import Path

import av
import numpy as np

from marey.video import Pictures, write_video


def test_a_frame_that_became_a_picture_is_not_left_to_the_garbage_collector(
    tmp_path: Path,
) -> None:
    write_video(tmp_path / "a.mp4", np.zeros((10, 48, 64, 3), np.uint8))
    picture = np.empty((48, 64, 3), np.uint8)
    with av.open(str(tmp_path / "a.mp4")) as container:
        frames = container.decode(video=0)
        pictures = Pictures(next(frames))
        gc.collect()
        gc.disable()
        try:
            for frame in frames:
                pictures.write(frame, picture)
            del frame
            assert gc.collect() == 0
        finally:
            gc.enable()
