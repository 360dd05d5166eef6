"""One way to open any video, and to judge it."""

import os
from os import PathLike

from marey.errors import VideoError
from marey.video._folder import FrameFolder
from marey.video._reader import VideoReader
from marey.video._verdict import Verdict


def open_video(path: str | PathLike[str]) -> VideoReader | FrameFolder:
    """Return a reader of a video file, or of a folder of images named like img_00001.jpg.

    Raises:
        VideoError: There is no video.
    """
    # Path.is_dir would raise on a name too long for the file system.
    return FrameFolder(path) if os.path.isdir(path) else VideoReader(path)  # noqa: PTH112


def check_video(path: str | PathLike[str]) -> Verdict:
    """Decode a whole video and return whether it is sound; what cannot be opened is unusable."""
    try:
        with open_video(path) as video:
            return video.verdict()
    except VideoError as error:
        return Verdict(status="unusable", reason=str(error), frames=0, declared=None)
