"""The pictures of a video encoded again, with all that says when and how they are shown."""

import os
from fractions import Fraction

import av
import numpy as np
from av.container import OutputContainer
from av.format import Flags
from av.sidedata.sidedata import SideData
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter
from av.video.stream import VideoStream

from marey.video import DecodePass

from ._clock import Clock
from ._planes import canvas_of, is_rgb
from ._sound import Sound

# Hardly a visible difference to the frames that were decoded. Without pictures stored out of
# order a file needs no word on where it begins, and its length is that of its frames.
_QUALITY = {"crf": "18", "preset": "veryfast", "bf": "0"}
_MAX_THREADS = 8
"""Beyond these the encoder gains little, and each holds frames."""

_USUAL_RATE = Fraction(25)
_NO_KIND = 0
"""Leaves to the encoder which pictures stand alone; decoded frames tell what they were."""


class Encoder:
    """Writes the pictures of a video into an output.

    Attributes:
        canvas: How pictures are stored.
        aspect: How many times as wide as high a stored pixel is shown.
        begin: The stamp of the beginning, in seconds. Broadcasts begin anywhere.
    """

    def __init__(self, source: DecodePass, output: OutputContainer) -> None:
        assert source.first is not None
        stream = source.file.stream
        container = source.file.container
        self.canvas = canvas_of(source.first)
        self.aspect = stream.sample_aspect_ratio or Fraction(1)
        self._tick = stream.time_base or 1 / _USUAL_RATE
        begins_anywhere = Flags.ts_discont in Flags(container.format.flags)
        start = (container.start_time or 0) if begins_anywhere else 0
        self.begin = Fraction(max(start, 0), av.time_base)
        rate = stream.average_rate or stream.guessed_rate or _USUAL_RATE
        # AVI has no place for the stamps of reordered frames.
        self._counts = container.format.name == "avi" and stream.codec_context.has_b_frames
        self._step = max(round(1 / (rate * self._tick)), 1)
        self._clock = Clock(float(1 / self._tick))
        self._output = output
        self._reformatter = VideoReformatter()
        self._stream = self._target(source.first, rate)

    def ready(self, frame: VideoFrame) -> VideoFrame:
        """Return a frame as it is to be encoded, with its stamp, free to be drawn on."""
        picture = self._reformatter.reformat(
            frame,
            width=self.canvas.width,
            height=self.canvas.height,
            format=self._stream.codec_context.pix_fmt,
            dst_colorspace=Colorspace.ITU601 if is_rgb(frame) else None,
            dst_color_range=ColorRange.MPEG if is_rgb(frame) else None,
            threads=1,
        )
        # The decoder may still need what it gave, to build other frames upon.
        picture.make_writable()
        said = frame.pts
        if said is not None:
            said = None if self._counts else said - round(self.begin / self._tick)
        picture.pts = self._clock.stamp(said, self._step)
        picture.time_base = self._tick
        picture.pict_type = _NO_KIND
        return picture

    def time(self, picture: VideoFrame) -> float:
        """Return when a picture is shown, in seconds."""
        assert picture.pts is not None
        return float(picture.pts * self._tick)

    def encode(self, picture: VideoFrame | None, sound: Sound) -> None:
        """Write a picture, and the sound that goes before it; None ends the video."""
        for packet in self._stream.encode(picture):
            assert packet.dts is not None
            sound.carry(packet.dts * packet.time_base)
            self._output.mux(packet)

    def _target(self, first: VideoFrame, rate: Fraction) -> VideoStream:
        stream = self._output.add_stream("libx264", rate=rate, options=_QUALITY)
        assert isinstance(stream, VideoStream)
        context = stream.codec_context
        context.width, context.height = self.canvas.width, self.canvas.height
        full = "j" if first.format.name.startswith("yuvj") else ""
        context.pix_fmt = f"yuv{full}{'420' if self.canvas.halved else '444'}p"
        context.thread_count = min(os.cpu_count() or 1, _MAX_THREADS)
        context.sample_aspect_ratio = self.aspect
        context.colorspace = self.canvas.matrix
        if not is_rgb(first):
            context.color_range = first.color_range
        context.color_primaries = first.color_primaries
        context.color_trc = first.color_trc
        stream.time_base = context.time_base = self._tick
        side = first.side_data.get("DISPLAYMATRIX")
        if side is not None:
            assert isinstance(side, SideData)
            stream.set_display_matrix(np.frombuffer(bytes(side), np.int32).tolist())
        return stream
