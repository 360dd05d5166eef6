"""The flow of one video in one file that any player opens: FFV1, lossless, in Matroska.

A picture is grey: the bytes of the flow along x above those of the flow along y. A tag of the
file, `MAREY_FLOW`, says in JSON how the flow was made and of which pairs it is.

Axes: P pairs of a frame and the next, T of them wanted, H rows, W columns.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import av
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from jaxtyping import UInt8

from marey.durable import complete_file
from marey.errors import VideoError
from marey.flow._codec import BOUND
from marey.flow._matroska import damage_of
from marey.video import open_output

_TAG = "MAREY_FLOW"
_FORMAT = "matroska"
_CODEC = "ffv1"
# Every picture is a key picture; the range coder makes the smallest.
_OPTIONS = {"level": "3", "coder": "1", "slicecrc": "1", "g": "1"}
_MAX_DENOMINATOR = 1001
_MOST_PAIRS = 1 << 31
_READ_BYTES = 1 << 18


@dataclass(frozen=True, slots=True, kw_only=True)
class Making:
    """How flow was made."""

    method: str
    parameters: dict[str, int | float]
    height: int = 256
    width: int = 340
    bound: float = BOUND

    def as_json(self) -> dict[str, Any]:
        """Return plain values for a file."""
        return asdict(self)


class FlowWriter:
    """Writes the flow of a video, pair by pair; use it in a `with` block.

    The file appears when the block ends well and every pair was written.

    Args:
        path: The file, named `.mkv`.
        making: How the flow is made.
        pairs: Numbers of the pairs that will be written, rising.
        of: How many pairs the video has.
        fps: Frames per second of the video.
        source_bytes: Size of the video's file, by which a changed one is known.
        reason: What is wrong with the video; empty if it is sound.
    """

    def __init__(
        self,
        path: Path,
        making: Making,
        *,
        pairs: Sequence[int],
        of: int,
        fps: float,
        source_bytes: int,
        reason: str = "",
    ) -> None:
        self._about = {
            "flow": making.as_json(),
            "pairs": len(pairs) if len(pairs) == of else list(pairs),
            "of": of,
            "source_bytes": source_bytes,
            "reason": reason,
        }
        self._left = len(pairs)
        self._whole = complete_file(path)
        self._size = making.height, making.width
        told = fps if 0 < fps < math.inf else 0
        self._rate = Fraction(told).limit_denominator(_MAX_DENOMINATOR) or Fraction(25)

    def __enter__(self) -> FlowWriter:
        with ExitStack() as stack:
            temporary = stack.enter_context(self._whole)
            # Without the flag the file would hold a random number and the writer's version.
            options = {"fflags": "+bitexact"}
            output = open_output(temporary, container=_FORMAT, options=options)
            self._output = stack.enter_context(output)
            self._start()
            self._open = stack.pop_all()
        return self

    def _start(self) -> None:
        self._output.metadata[_TAG] = json.dumps(self._about, sort_keys=True)
        stream = self._output.add_stream(_CODEC, rate=self._rate, options=_OPTIONS)
        assert isinstance(stream, VideoStream)
        stream.height, stream.width = 2 * self._size[0], self._size[1]
        stream.pix_fmt = "gray"
        stream.thread_count = 1
        self._stream = stream

    def write(self, flow: UInt8[np.ndarray, "T H W 2"]) -> None:
        """Write the next pairs."""
        for field in flow:
            picture = np.concatenate([field[..., 0], field[..., 1]])
            self._output.mux(self._stream.encode(VideoFrame.from_ndarray(picture, format="gray")))
        self._left -= len(flow)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            self._open.__exit__(kind, error, trace)
            return
        with self._open:
            self._output.mux(self._stream.encode(None))
            assert self._left == 0, "as many pairs as announced"


class FlowReader:
    """The flow of a video, in bytes, from a file that `FlowWriter` wrote.

    Args:
        path: The file.

    Raises:
        VideoError: There is no such file, it is damaged, or it holds something else.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        _require_intact(path)
        with _opened(path) as container:
            about = _about(path, container)
            stream = container.streams.video[0]
            self.fps = float(stream.average_rate or 25)
            size = stream.height, stream.width
        try:
            made = about["flow"]
            self.making = Making(**made)
            self._frames = int(about["of"])
            pairs = about["pairs"]
            self._places = (
                None if isinstance(pairs, int) else {int(p): n for n, p in enumerate(pairs)}
            )
            self.source_bytes = int(about["source_bytes"])
            self.reason = str(about["reason"])
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise VideoError(f"{path}: its tag {_TAG} cannot be read: {error}") from error
        strange = [pair for pair in self._places or () if not 0 <= pair < self._frames]
        if strange or not 0 <= self._frames < _MOST_PAIRS:
            raise VideoError(f"{path}: its tag {_TAG} is of pairs that its video cannot have")
        if size != (2 * self.making.height, self.making.width):
            raise VideoError(f"{path}: its tag {_TAG} is of pictures of another size")

    def __len__(self) -> int:
        """Count the pairs of the video, written or not."""
        return self._frames

    @property
    def pairs(self) -> Sequence[int]:
        """The pairs in the file."""
        return range(self._frames) if self._places is None else list(self._places)

    @property
    def written(self) -> int:
        """How many these are."""
        return len(self.pairs)

    def frames_at(self, indices: Iterable[int], /) -> UInt8[np.ndarray, "T H W 2"]:
        """Return the flow of the pairs with these numbers, in that order.

        Raises:
            IndexError: There is no such pair in the video.
            VideoError: The pair is not in the file, or the file cannot be read.
        """
        wanted = [int(index) for index in indices]
        spots: dict[int, list[int]] = {}
        for spot, pair in enumerate(wanted):
            spots.setdefault(self._place(pair), []).append(spot)
        out = np.empty((len(wanted), self.making.height, self.making.width, 2), np.uint8)
        last = max(spots, default=-1)
        found = 0
        with _opened(self.path) as container:
            for place, packet in enumerate(container.demux(container.streams.video[0])):
                if place > last:
                    break
                if place in spots and packet.size > 0:
                    (frame,) = packet.decode()
                    assert isinstance(frame, VideoFrame)
                    field = frame.to_ndarray().reshape(2, *out.shape[1:3])
                    out[spots[place]] = field.transpose(1, 2, 0)
                    found += 1
        if found < len(spots):
            raise VideoError(f"{self.path} ends early; delete it and make it again")
        return out

    def close(self) -> None:
        """Do nothing: the file is opened when flow is read."""

    def __enter__(self) -> FlowReader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _place(self, pair: int) -> int:
        if not 0 <= pair < self._frames:
            raise IndexError(f"{self.path}: no pair {pair} in a video of {self._frames} pairs")
        if self._places is None:
            return pair
        if pair not in self._places:
            raise VideoError(
                f"{self.path} holds the flow that testing reads alone, not that of pair {pair}; "
                "make all of it: marey flow without --for test"
            )
        return self._places[pair]


def _require_intact(path: Path) -> None:
    try:
        damage = damage_of(path)
    except (FileNotFoundError, IsADirectoryError) as error:
        raise VideoError(
            f"{path}: no such flow; make it with: marey flow INDEX --out FOLDER"
        ) from error
    except OSError as error:
        raise VideoError(f"{path} cannot be read: {error}") from error
    if damage:
        raise VideoError(f"{path} is damaged or no file of flow: {damage}; make it again")


@contextmanager
def _opened(path: Path) -> Iterator[InputContainer]:
    try:
        with (
            path.open("rb", buffering=0) as file,
            av.open(
                file,
                "r",
                format=_FORMAT,
                metadata_errors="replace",
                buffer_size=_READ_BYTES,
                container_options={"protocol_whitelist": ""},
            ) as container,
        ):
            streams = container.streams.video
            if not streams or streams[0].codec_context.name != _CODEC:
                raise VideoError(f"{path} is not a file of flow: it holds no {_CODEC} video")
            streams[0].thread_count = 1
            yield container
    except (av.FFmpegError, OSError) as error:
        raise VideoError(f"{path} cannot be read: {error}") from error


def _about(path: Path, container: InputContainer) -> dict[str, Any]:
    """Return what the file's tag says."""
    texts = [text for name, text in container.metadata.items() if name.upper() == _TAG]
    if not texts:
        raise VideoError(f"{path} is a video, but not one of flow: it has no tag {_TAG}")
    try:
        about = json.loads(texts[0])
    except (ValueError, RecursionError) as error:
        raise VideoError(f"{path}: its tag {_TAG} cannot be read: {error}") from error
    if not isinstance(about, dict):
        raise VideoError(f"{path}: its tag {_TAG} cannot be read: no JSON object")
    return about
