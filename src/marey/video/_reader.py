"""Random access to the frames of a video file. Axes: T frames, H rows, W columns, C channels."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from operator import index as as_int
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import SupportsIndex

import av
import numpy as np
from av.video.frame import VideoFrame
from jaxtyping import Float, UInt8

from marey.errors import VideoError
from marey.video._decoding import (
    DecodePass,
    StampsLie,
    frames_by_stamp,
    frames_from_start,
    is_indexed,
    survey,
)
from marey.video._frames import checked_indices, counted_from_end, picked
from marey.video._picture import Pictures
from marey.video._second_opinion import second_opinion
from marey.video._structure import structural_damage
from marey.video._verdict import Verdict

_KEPT_BYTES = 256 << 20
_DECODED_WHOLE_PIXELS = 1_000_000_000
_FPS_OF_STREAMS_WITHOUT = 25.0


class VideoReader:
    """The frames of a video file, upright and in RGB, in any order.

    They are those that decoding from the start gives, and the length is their number: headers
    lie. A short video is decoded once, when its length or a frame is first asked for, and its
    frames are kept undeveloped up to 256 MiB. A long one is entered at its key frames if its
    time stamps are complete.

    A damaged video gives the frames that decode; `verdict` says what is wrong with it.

    Raises:
        VideoError: The file is missing, is no video, or not one of its frames decodes.
    """

    def __init__(self, path: str | PathLike[str]) -> None:
        self.path = Path(path)
        self._pass = DecodePass(self.path, budget=_KEPT_BYTES)
        assert self._pass.first is not None
        self._pictures = Pictures(self._pass.first)
        stream = self._pass.file.stream
        self._declared = stream.frames or None
        self._format = self._pass.file.container.format.name
        # VP8 hides some pictures in packets of their own; other containers cut packets anywhere.
        self._frame_per_packet = stream.codec.name != "vp8" and (
            is_indexed(self._pass.file) or self._format == "avi"
        )
        self._codec = stream.codec.name
        self._pixels = stream.codec_context.pix_fmt or ""
        self._tick = float(stream.time_base or 0)
        rate = stream.average_rate or stream.guessed_rate
        self._fps = float(rate) if rate else _FPS_OF_STREAMS_WITHOUT
        self._length: int | None = None
        self._finished = False
        self._closed = False
        # Time stamps of all frames, and of key frames, where they lead to the right frames.
        self._order: Sequence[int] | None = None
        self._keys: Sequence[int] = ()
        self._misled = False

    @property
    def fps(self) -> float:
        """Frames per second, on average; 25 where the file does not say."""
        return self._fps

    @property
    def height(self) -> int:
        """Rows of the upright frame."""
        return self._pictures.height

    @property
    def width(self) -> int:
        """Columns of the upright frame."""
        return self._pictures.width

    def __len__(self) -> int:
        self._check_open()
        if self._length is None:
            self._length = self._long_length() or self._decode_whole()
        return self._length

    def __getitem__(self, index: SupportsIndex) -> UInt8[np.ndarray, "H W 3"]:
        """Return one frame; a negative index counts from the end."""
        frame: UInt8[np.ndarray, "H W 3"] = self.frames_at(
            [counted_from_end(as_int(index), len(self), self.path)]
        )[0]
        return frame

    def frames_at(self, indices: Iterable[SupportsIndex]) -> UInt8[np.ndarray, "T H W 3"]:
        """Return the frames at the given places, in their order; places may repeat.

        Raises:
            IndexError: A place is negative, or not within the video.
        """
        places = checked_indices(indices, len(self), self.path)
        with suppress(StampsLie):
            return picked(places, self._fetch, self._pictures)
        self._misled = True
        self._length = self._decode_whole()
        places = checked_indices(places, self._length, self.path)
        return picked(places, self._fetch, self._pictures)

    def in_order(self, indices: Sequence[int]) -> Iterator[UInt8[np.ndarray, "H W 3"]]:
        """Yield the frames at rising places one by one, in a single decoding.

        Raises:
            IndexError: A place is not within the video.
        """
        places = checked_indices(indices, len(self), self.path)
        done = 0
        while done < len(places):
            try:
                for _, frame in self._fetch(places[done:]):
                    picture = np.empty((self.height, self.width, 3), np.uint8)
                    self._pictures.write(frame, picture)
                    done += 1
                    yield picture
            except StampsLie:
                self._misled = True
                self._length = self._decode_whole()
                checked_indices(places, self._length, self.path)

    def times(self) -> Float[np.ndarray, " _"]:
        """Return when each of T frames is shown, in seconds from the first, and when the last ends.

        Time stamps say so where all frames have one and they rise, as in films of phones, whose
        rate varies; else the frames follow each other at `fps`.
        """
        length = len(self)
        stamps = self._pass.stamps if self._order is None else self._order
        known = [stamp for stamp in stamps if stamp is not None]
        shown = (np.asarray(known, float) - known[0]) * self._tick if known else np.zeros(0)
        steps = np.diff(shown)
        if len(shown) != length or length < 2 or not (steps > 0).all():
            return np.arange(length + 1) / self._fps
        return np.append(shown, shown[-1] + np.median(steps))

    def verdict(self) -> Verdict:
        """Return whether the video is whole. Decodes all of it if that was not done yet."""
        frames = self._decode_whole()
        if self._length not in (None, frames):
            self._misled = True
        self._length = frames
        packets = self._pass.packets
        expected = packets.count
        structure = structural_damage(
            self.path, self._format, packets=packets.count + packets.others
        )
        reasons = [structure, *self._pass.damage.reasons()]
        if not self._pass.damage and self._frame_per_packet and expected > frames:
            reasons.append(f"{expected - frames} of {expected} packets give no frame")
        if self._misled:
            reasons.append("its time stamps lead to wrong frames")
        if not any(reasons):
            reasons = [second_opinion(self.path, self._codec, self._pixels)]
        reason = "; ".join(filter(None, reasons))
        return Verdict(
            status="damaged" if reason else "ok",
            reason=reason,
            frames=frames,
            declared=self._declared,
        )

    def close(self) -> None:
        """Let go of the file and of the kept frames; the reader cannot be used afterwards."""
        self._closed = True
        self._pass.close()

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if hasattr(self, "_pass"):
            self.close()

    def __repr__(self) -> str:
        length = "?" if self._length is None else self._length
        size = f"{self.width}x{self.height}"
        return f"VideoReader({str(self.path)!r}, {length} frames of {size}, {self.fps:g} fps)"

    def _check_open(self) -> None:
        if self._closed:
            raise VideoError(f"{self.path} was closed; open it again")

    def _decode_whole(self) -> int:
        """Decode what is not decoded yet and return the number of frames."""
        self._check_open()
        if not self._finished:
            self._pass.finish()
            self._finished = True
            self._order = self._pass.order()
            self._keys = self._pass.packets.keys
        if self._misled:
            self._order = None
        return len(self._pass.stamps)

    def _long_length(self) -> int | None:
        """Return how many frames a long video has by its packets; None if it must be decoded."""
        seconds = (self._pass.file.container.duration or 0) / av.time_base
        expected = self._declared or seconds * self._fps
        small = expected * self.height * self.width <= _DECODED_WHOLE_PIXELS
        if small or not self._frame_per_packet:
            return None
        packets = survey(self.path)
        order = packets.order()
        if order is None or order[:1] != self._pass.stamps[:1]:
            return None
        self._order = order
        self._keys = packets.keys
        return len(order)

    def _fetch(self, wanted: Sequence[int]) -> Iterator[tuple[int, VideoFrame]]:
        """Yield the frames with the given rising numbers, the kept ones without decoding."""
        self._check_open()
        kept = self._pass.kept
        behind = bisect_left(wanted, len(kept))
        for number in wanted[:behind]:
            yield number, kept[number]
        rest = wanted[behind:]
        if rest and self._order is not None:
            yield from frames_by_stamp(self.path, rest, self._order, self._keys)
        elif rest:
            yield from frames_from_start(self.path, rest)
