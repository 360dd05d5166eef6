"""The sound of a video, carried over as it is: no packet is decoded or changed."""

from collections.abc import Generator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.packet import Packet

from marey.errors import UsageError
from marey.video import VideoFile

from ._clock import Clock

# Generic to the type checker only.
if TYPE_CHECKING:
    SoundPacket = Packet[AudioStream]
else:
    SoundPacket = Packet

_MAX_FAILED_READS = 100


class Sound:
    """Copies the packets of all sound streams, as the pictures get on.

    The file is opened a second time, so that pictures and sound need not lie side by side in
    it and nothing waits in memory.

    Args:
        path: The video.
        output: What is written; it gets a stream for each of the video's.
        begin: What counts as the beginning, in seconds of the file's stamps.

    Raises:
        UsageError: The output cannot hold sound of a kind.
    """

    def __init__(self, path: Path, output: OutputContainer, *, begin: Fraction) -> None:
        self._output = output
        self._begin = begin
        self._file = VideoFile(path)
        try:
            streams = self._file.container.streams.audio
            self._targets = {stream.index: _target(path, output, stream) for stream in streams}
        except BaseException:
            self._file.close()
            raise
        self._clocks = {stream.index: Clock(float(1 / _tick(stream))) for stream in streams}
        self._packets = self._read(streams)
        self._next = next(self._packets, None)

    def carry(self, until: Fraction | None) -> None:
        """Write the packets up to a time, in seconds, or all that are left."""
        while self._next is not None:
            stream, stamp = self._next.stream, self._next.dts
            assert stamp is not None
            if until is not None and stamp * _tick(stream) > until:
                return
            self._next.stream = self._targets[stream.index]
            self._output.mux(self._next)
            self._next = next(self._packets, None)

    def close(self) -> None:
        """Let go of the file."""
        self._packets.close()
        self._file.close()

    def _stamped(self, packet: SoundPacket) -> SoundPacket:
        """Return a packet with stamps that rise, in one order for storing and for hearing."""
        said = packet.dts if packet.dts is not None else packet.pts
        if said is not None:
            said -= round(self._begin / _tick(packet.stream))
        clock = self._clocks[packet.stream.index]
        packet.pts = packet.dts = clock.stamp(said, max(packet.duration or 0, 1))
        return packet

    def _read(self, streams: tuple[AudioStream, ...]) -> Generator[SoundPacket]:
        """Yield the packets in the order of the file; read on after an error."""
        failures = 0
        while streams and failures < _MAX_FAILED_READS:
            try:
                for packet in self._file.container.demux(streams):
                    failures = 0
                    if packet.size:
                        yield self._stamped(packet)
            except (av.FFmpegError, OSError):
                failures += 1
            except IndexError:
                return  # As in `VideoFile.packets`.
            else:
                return


def _target(path: Path, output: OutputContainer, stream: AudioStream) -> AudioStream:
    """Return a stream of the output for one of the video."""
    codec = stream.codec_context
    name = codec.name if codec is not None else "an unknown format"
    try:
        if codec is None:
            raise ValueError(name)
        target = output.add_stream_from_template(stream)
    except ValueError as error:
        raise _refusal(path, output, name) from error
    # Where channels have no names, as in AVI, .mp4 wants those that are usual for their number.
    if codec.layout.name == f"{codec.channels} channels":
        target.codec_context.layout = f"{codec.channels}c"
    for key in ("language", "title"):
        if key in stream.metadata:
            target.metadata[key] = stream.metadata[key]
    target.disposition = stream.disposition
    return target


def _refusal(path: Path, output: OutputContainer, codec: str) -> UsageError:
    """Return what to say where a container cannot hold a kind of sound."""
    container = output.format.name
    if container == "matroska":
        return UsageError(f"{path} has sound in {codec}, which cannot be carried over to .mkv")
    return UsageError(
        f"{path} has sound in {codec}, which .{container} cannot hold; end the name of the "
        "annotated video in .mkv"
    )


def _tick(stream: AudioStream) -> Fraction:
    """Return the seconds of a tick."""
    return stream.time_base or Fraction(1, av.time_base)
