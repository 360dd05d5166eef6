"""Films to annotate, and what can be read of the result."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.audio.stream import AudioStream
from av.video.stream import VideoStream

RATE = 25


def soft_frames(count: int = 20, height: int = 96, width: int = 160) -> np.ndarray:
    """Return frames that encode well and are all different: a ramp, and a block that drifts."""
    rows, columns = np.mgrid[:height, :width]
    ramp = np.stack([60 + rows % 128, 60 + columns % 128, 120 + 0 * rows], axis=-1)
    frames = np.repeat(ramp[None], count, axis=0).astype(np.uint8)
    for t, frame in enumerate(frames):
        frame[4:20, 2 * t + 4 : 2 * t + 20] = (200, 60 + 4 * (t % 32), 90)
    return frames


def film(
    path: Path,
    frames: np.ndarray,
    *,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    b_frames: int = 0,
    stamps: list[int] | None = None,
    matrix: list[int] | None = None,
    colours: tuple[int, int] = (2, 0),
    aspect: Fraction = Fraction(1),
    sounds: tuple[str, ...] = (),
    languages: tuple[str, ...] = (),
    container_options: dict[str, str] | None = None,
) -> Path:
    """Write a film at 25 frames a second.

    Args:
        path: Its ending tells the container.
        frames: In RGB.
        codec: Of the pictures.
        pix_fmt: Likewise.
        b_frames: Pictures stored out of order, between two that are not.
        stamps: Of the frames, in 25ths of a second.
        matrix: How to turn them.
        colours: Numbers of the matrix from RGB and of the range.
        aspect: How many times as wide as high a pixel is.
        sounds: Codec of each stream of sound, a tone of another pitch.
        languages: Of each.
        container_options: Of the container.
    """
    with av.open(str(path), "w", options=container_options or {}) as output:
        stream = output.add_stream(codec, rate=RATE)
        assert isinstance(stream, VideoStream)
        context = stream.codec_context
        context.height, context.width = frames.shape[1:3]
        context.pix_fmt = pix_fmt
        context.thread_count = 1
        context.max_b_frames = b_frames
        context.colorspace, context.color_range = colours
        context.sample_aspect_ratio = aspect
        stream.time_base = context.time_base = Fraction(1, RATE)
        if matrix is not None:
            stream.set_display_matrix(matrix)
        tones = [_tone_stream(output, name) for name in sounds]
        for tone, language in zip(tones, languages, strict=False):
            tone.metadata["language"] = language
        for number, picture in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(
                format=pix_fmt,
                dst_colorspace={1: "ITU709"}.get(colours[0]),
                dst_color_range={2: "JPEG"}.get(colours[1]),
            )
            frame.pts = number if stamps is None else stamps[number]
            frame.time_base = Fraction(1, RATE)
            output.mux(stream.encode(frame))
            for pitch, tone in enumerate(tones, 1):
                output.mux(tone.encode(_tone(number, pitch, tone)))
        for each in (stream, *tones):
            output.mux(each.encode(None))
    return path


def _tone_stream(output: av.container.OutputContainer, codec: str) -> AudioStream:
    stream = output.add_stream(codec, rate=48000)
    assert isinstance(stream, AudioStream)
    stream.codec_context.layout = "mono"
    return stream


def _tone(number: int, pitch: int, stream: AudioStream) -> av.AudioFrame:
    length = 48000 // RATE
    times = np.arange(number * length, (number + 1) * length)
    wave = (5000 * np.sin(0.02 * pitch * times)).astype(np.int16)
    frame = av.AudioFrame.from_ndarray(wave[None], format="s16", layout="mono")
    frame.sample_rate, frame.time_base = 48000, Fraction(1, 48000)
    frame.pts = number * length
    return frame


def times_of(path: Path) -> np.ndarray:
    """Return when each frame is shown, in seconds."""
    with av.open(str(path)) as container:
        return np.array([float(f.pts * f.time_base) for f in container.decode(video=0)])


def first_frame(path: Path) -> av.VideoFrame:
    with av.open(str(path)) as container:
        return next(container.decode(video=0))


def sounds_of(path: Path) -> list[list[tuple[bytes, float]]]:
    """Return the packets of each stream of sound, with their times in seconds."""
    with av.open(str(path)) as container:
        streams = container.streams.audio
        found: dict[int, list[tuple[bytes, float]]] = {stream.index: [] for stream in streams}
        for packet in container.demux(streams) if streams else ():
            if packet.size:
                time = float(packet.pts * packet.time_base)
                found[packet.stream.index].append((bytes(packet), time))
    return list(found.values())
