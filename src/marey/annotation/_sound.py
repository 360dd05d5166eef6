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
from ._container import SUFFIXES, suffixes_for

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
            self._targets = {stream.index: _target(output, stream) for stream in streams}
        except ValueError as error:
            refusal = _refusal(path, streams)
            self._file.close()
            raise refusal from error
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


def _target(output: OutputContainer, stream: AudioStream) -> AudioStream:
    """Return a stream of the output for one of the video."""
    codec = stream.codec_context
    target = output.add_stream_from_template(stream)
    # Where channels have no names, as in AVI, .mp4 wants those that are usual for their number.
    if codec.layout.name == f"{codec.channels} channels":
        target.codec_context.layout = f"{codec.channels}c"
    for key in ("language", "title"):
        if key in stream.metadata:
            target.metadata[key] = stream.metadata[key]
    target.disposition = stream.disposition
    return target


def _refusal(path: Path, streams: tuple[AudioStream, ...]) -> UsageError:
    """Return what to say of sound that the output cannot hold."""
    codecs = [_codec(stream) for stream in streams]
    sound = f"{path} has sound in {', '.join(dict.fromkeys(codecs))}"
    suffixes = suffixes_for(codecs)
    if suffixes:
        return UsageError(f"{sound}; only annotated videos in {' or '.join(suffixes)} can hold it")
    return UsageError(
        f"{sound}, which none of {', '.join(SUFFIXES)} can hold; bring it into another format "
        "first, as `ffmpeg -i IN -c:v copy -c:a aac OUT.mkv` does"
    )


def _codec(stream: AudioStream) -> str:
    return "an unknown format" if stream.codec_context is None else stream.codec_context.name


def _tick(stream: AudioStream) -> Fraction:
    """Return the seconds of a tick."""
    return stream.time_base or Fraction(1, av.time_base)
