"""Flow as TSN's tools write it: a folder of JPEG images for each video.

`flow_x_00001.jpg` and `flow_y_00001.jpg` hold the bytes of the first pair, and so on.

Axes: P pairs of a frame and the next, T of them wanted, H rows, W columns.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from types import TracebackType

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from marey.durable import complete_folder
from marey.errors import VideoError
from marey.video import FrameFolder

PATTERNS = ("flow_x_%05d.jpg", "flow_y_%05d.jpg")

_QUALITY = 95


class FlowFolder:
    """The flow of a video, in bytes, from a folder of images. Who made it is not known.

    Args:
        path: The folder.
        fps: Frames per second, which images do not tell.

    Raises:
        VideoError: The folder holds no flow, or not as much along x as along y.
    """

    making = None

    def __init__(self, path: Path, *, fps: float = 25.0) -> None:
        self.path = path
        self._parts = [FrameFolder(path, pattern=pattern, fps=fps) for pattern in PATTERNS]
        along, down = self._parts
        if len(along) != len(down):
            raise VideoError(
                f"{path} holds {len(along)} images of flow along x, but {len(down)} along y"
            )
        if (along.height, along.width) != (down.height, down.width):
            raise VideoError(
                f"{path}: images of flow along x have {along.width}x{along.height} pixels, but "
                f"along y {down.width}x{down.height}"
            )
        for part, pattern in zip(self._parts, PATTERNS, strict=True):
            for expected, number in enumerate(part.numbers, start=min(part.numbers[0], 1)):
                if number != expected:
                    raise VideoError(f"{path}: {pattern % expected} is missing or no image")
        self.fps = fps

    def __len__(self) -> int:
        """Count the pairs."""
        return len(self._parts[0])

    def frames_at(self, indices: Iterable[int], /) -> UInt8[np.ndarray, "T H W 2"]:
        """Return the flow of the pairs with these numbers, in that order.

        Raises:
            IndexError: There is no such pair.
            VideoError: An image does not decode.
        """
        wanted = list(indices)
        flow: UInt8[np.ndarray, "T H W 2"] = np.stack(
            [part.frames_at(wanted)[..., 0] for part in self._parts], axis=-1
        )
        return flow

    def close(self) -> None:
        """Do nothing: images are opened one at a time."""

    def __enter__(self) -> FlowFolder:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class FlowFolderWriter:
    """Writes the flow of a video as images; use it in a `with` block.

    The folder appears when the block ends well.
    """

    def __init__(self, path: Path) -> None:
        self._whole = complete_folder(path)
        self._written = 0

    def __enter__(self) -> FlowFolderWriter:
        self._folder = self._whole.__enter__()
        return self

    def write(self, flow: UInt8[np.ndarray, "T H W 2"]) -> None:
        """Write the next pairs."""
        for field in flow:
            self._written += 1
            for part, pattern in enumerate(PATTERNS):
                image = Image.fromarray(np.ascontiguousarray(field[..., part]))
                image.save(self._folder / (pattern % self._written), quality=_QUALITY)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._whole.__exit__(kind, error, trace)
