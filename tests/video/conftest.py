"""Films of every awkward kind, made on the spot."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.stream import VideoStream

RATE = 25


def moving_frames(count: int = 40, height: int = 48, width: int = 64) -> np.ndarray:
    """Return frames of which no two are alike: blocks drift over a slope."""
    blocks = np.random.default_rng(7).integers(0, 256, (height // 8, width // 8, 3))
    still = blocks.repeat(8, 0).repeat(8, 1).astype(np.uint8)
    frames = np.stack([np.roll(still, (t, 2 * t), (0, 1)) for t in range(count)])
    for t, frame in enumerate(frames):
        frame[:8] = 16 + 5 * t % 224
    return frames


def encode(
    path: Path,
    frames: np.ndarray,
    *,
    codec: str = "libx264",
    b_frames: int = 0,
    group: int = 12,
    pix_fmt: str = "yuv420p",
    stamps: list[int] | None = None,
    turn: int = 0,
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
) -> Path:
    """Write a film with the encoder's settings laid open."""
    with av.open(str(path), "w", options=container_options or {}) as output:
        stream = output.add_stream(codec, rate=RATE, options=options or {})
        assert isinstance(stream, VideoStream)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = pix_fmt
        stream.thread_count = 1
        stream.codec_context.max_b_frames = b_frames
        stream.codec_context.gop_size = group
        stream.time_base = stream.codec_context.time_base = Fraction(1, RATE)
        if turn:
            stream.set_display_rotation(turn)
        for number, picture in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts = number if stamps is None else stamps[number]
            frame.time_base = Fraction(1, RATE)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


def encode_jpeg(picture: np.ndarray) -> bytes:
    codec = av.VideoCodecContext.create("mjpeg", "w")
    codec.height, codec.width = picture.shape[:2]
    codec.pix_fmt = "yuvj420p"
    codec.time_base = Fraction(1, RATE)
    frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(
        format="yuvj420p", dst_color_range="JPEG"
    )
    frame.pts = 0
    return b"".join(bytes(packet) for packet in [*codec.encode(frame), *codec.encode(None)])


def sequential(path: Path) -> np.ndarray:
    """Return all frames by the plainest use of PyAV: the truth."""
    with av.open(str(path)) as container:
        return np.stack([f.to_ndarray(format="rgb24") for f in container.decode(video=0)])


def pack_b_frames(frames: np.ndarray, packed: Path, loose: Path) -> None:
    """Write one MPEG-4 stream twice: with packed B-frames as DivX 5 and XviD did, and without.

    AVI has one chunk per frame time and no time stamps. A B-frame must be decoded after the P
    frame that is shown behind it, so these encoders put both into the P frame's chunk and an
    empty picture into the next, and said so in the user data.
    """
    encoder = av.VideoCodecContext.create("mpeg4", "w")
    encoder.height, encoder.width = frames.shape[1:3]
    encoder.pix_fmt = "yuv420p"
    encoder.time_base = Fraction(1, RATE)
    encoder.framerate = Fraction(RATE)
    encoder.max_b_frames = 1
    encoder.gop_size = 12
    encoder.thread_count = 1
    packets = []
    for number, picture in enumerate(frames):
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts = number
        frame.time_base = encoder.time_base
        packets += encoder.encode(frame)
    packets += encoder.encode(None)
    coded = [(bytes(packet), packet.is_keyframe) for packet in packets]
    assert "B" in [_kind(data) for data, _ in coded]
    _write_chunks(loose, coded, frames.shape[1:3])

    chunks: list[tuple[bytes, bool]] = []
    ahead = iter([*coded, (b"", False)])
    data, key = next(ahead)
    while data:
        following, following_key = next(ahead)
        if following and _kind(following) == "B":
            chunks += [(_as_divx(data) + following, key), (_EMPTY_PICTURE, False)]
            following, following_key = next(ahead)
        else:
            chunks.append((_as_divx(data), key))
        data, key = following, following_key
    _write_chunks(packed, chunks, frames.shape[1:3])


_PICTURE_START = b"\0\0\1\xb6"
_USER_DATA_START = b"\0\0\1\xb2"
# A picture of kind P (01), no whole second (0), marker, 5 bits of time, marker, not coded (0).
_EMPTY_PICTURE = _PICTURE_START + int("0101000011011111", 2).to_bytes(2, "big")


def _kind(data: bytes) -> str:
    return "IPBS"[data[data.index(_PICTURE_START) + 4] >> 6]


def _as_divx(data: bytes) -> bytes:
    """Replace the encoder's name by that of one that packs."""
    start = data.find(_USER_DATA_START)
    if start < 0:
        return data
    end = data.index(b"\0\0\1", start + 4)
    return data[:start] + _USER_DATA_START + b"DivX503b1393p" + data[end:]


def _write_chunks(path: Path, chunks: list[tuple[bytes, bool]], size: tuple[int, int]) -> None:
    with av.open(str(path), "w") as output:
        stream = output.add_stream("mpeg4", rate=RATE)
        assert isinstance(stream, VideoStream)
        stream.height, stream.width = size
        stream.pix_fmt = "yuv420p"
        for number, (data, key) in enumerate(chunks):
            packet = av.Packet(data)
            packet.stream = stream
            packet.pts = packet.dts = number
            packet.time_base = Fraction(1, RATE)
            packet.is_keyframe = key
            output.mux(packet)


@pytest.fixture(scope="session", name="moving_frames")
def _moving_frames() -> Callable[..., np.ndarray]:
    return moving_frames


@pytest.fixture(scope="session", name="encode")
def _encode() -> Callable[..., Path]:
    return encode


@pytest.fixture(scope="session", name="encode_jpeg")
def _encode_jpeg() -> Callable[[np.ndarray], bytes]:
    return encode_jpeg


@pytest.fixture(scope="session", name="sequential")
def _sequential() -> Callable[[Path], np.ndarray]:
    return sequential


@pytest.fixture(scope="session")
def films(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One film of every kind that should be sound, by a word for it."""
    folder = tmp_path_factory.mktemp("films")
    frames = moving_frames()
    b_frames = {"bframes": "3", "b-adapt": "0", "scenecut": "0", "keyint": "12"}
    open_groups = ":".join(f"{key}={value}" for key, value in b_frames.items()) + ":open-gop=1"
    pack_b_frames(frames, folder / "packed.avi", folder / "loose.avi")
    return {
        "packed avi": folder / "packed.avi",
        "avi with b-frames": folder / "loose.avi",
        "plain avi": encode(folder / "plain.avi", frames, codec="mpeg4"),
        "mp4 with b-frames": encode(folder / "b.mp4", frames, b_frames=2),
        "mp4 with open groups": encode(
            folder / "open.mp4", frames, b_frames=3, options={"x264-params": open_groups}
        ),
        "mkv": encode(folder / "b.mkv", frames, b_frames=2),
        "webm": encode(folder / "vp9.webm", frames[:20], codec="libvpx-vp9"),
        "webm with hidden pictures": encode(folder / "vp8.webm", frames, codec="libvpx"),
        "transport stream": encode(folder / "b.ts", frames, b_frames=2),
        "variable rate": encode(
            folder / "variable.mp4", frames, b_frames=2, stamps=[t * t for t in range(len(frames))]
        ),
        "one frame": encode(folder / "one.mp4", frames[:1]),
        "portrait": encode(folder / "portrait.mp4", moving_frames(20, 64, 48)),
        "grey": encode(folder / "grey.mp4", frames[:20], pix_fmt="gray"),
        "ten bits": encode(folder / "ten.mkv", frames[:20], pix_fmt="yuv420p10le"),
        "odd sides": encode(
            folder / "odd.mp4", np.ascontiguousarray(frames[:20, :47, :63]), pix_fmt="yuv444p"
        ),
    }
