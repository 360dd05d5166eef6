"""From decoded frames to upright RGB pictures. Axes: H rows, W columns, C channels."""

import numpy as np
from av.sidedata.sidedata import SideData, SideDataContainer
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from jaxtyping import UInt8


class Pictures:
    """Turns the frames of one video into RGB, all as large as the first.

    One converter is set up and used again, which halves the time of `VideoFrame.to_ndarray`
    and gives the same bytes.
    """

    def __init__(self, first: VideoFrame) -> None:
        turned = turn_of(first)[0]
        self.height, self.width = (
            (first.width, first.height) if turned else (first.height, first.width)
        )
        self._reformatter = VideoReformatter()

    def write(self, frame: VideoFrame, out: UInt8[np.ndarray, "H W 3"]) -> None:
        """Fill `out` with the upright picture."""
        turned, down, across = turn_of(frame)
        rows, columns = (self.width, self.height) if turned else (self.height, self.width)
        rgb = self._reformatter.reformat(
            frame, width=columns, height=rows, format="rgb24", threads=1
        )
        plane = rgb.planes[0]
        lines = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
        picture = lines[:rows, : 3 * columns].reshape(rows, columns, 3)
        if turned:
            picture = picture.transpose(1, 0, 2)
        out[:] = picture[::down, ::across]


def turn_of(frame: VideoFrame) -> tuple[bool, int, int]:
    """Return how a frame is made upright: swap its axes or not, then step down and across.

    The display matrix takes the stored point (x, y) to (a x + c y, b x + d y); phones use it
    for quarter turns and mirroring.
    """
    # Frames that were asked for `side_data` hold themselves, and their pixels, until the garbage
    # collector comes by: hundreds of megabytes.
    side = SideDataContainer(frame).get("DISPLAYMATRIX")  # type: ignore[call-arg]
    if side is None:
        return False, 1, 1
    assert isinstance(side, SideData)
    a, b, _, c, d = np.frombuffer(bytes(side), np.int32)[:5].tolist()
    if abs(b) + abs(c) > abs(a) + abs(d):
        return True, -1 if b < 0 else 1, -1 if c < 0 else 1
    return False, -1 if d < 0 else 1, -1 if a < 0 else 1
