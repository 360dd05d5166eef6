"""The stages from a video to its classes.

Axes: N videos, K snippets, which are frames here, C channels, H rows, W columns, S rows and
columns of a crop.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from marey.backends import Runner
from marey.data import segment_centres
from marey.models import OFF, Network
from marey.video import open_video

from ._machine import Machine, macs_of
from ._ours import views_in_memory
from ._timing import Timing, timed

_CLIP_BYTES_A_VALUE = 4  # The network's input is float32.
_PLANE_BYTES_A_PIXEL = 1.5  # Decoders give 4:2:0: two values of colour for four pixels.


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One stage of a prediction as measured."""

    name: str
    frames: int
    """Frames that one repetition treats."""

    timing: Timing
    macs: int = 0
    """Multiply-adds of one repetition."""

    moved: int = 0
    """Bytes that one repetition cannot help but read or write."""

    def limit(self, machine: Machine) -> float:
        """Return the seconds that one repetition would take at the machine's limit."""
        return machine.limit(macs=self.macs, moved=self.moved)

    def share(self, machine: Machine) -> float:
        """Return how much of the limit's speed is reached, 1 at the limit."""
        return self.limit(machine) / self.timing.median

    def share_of_gemm(self, machine: Machine) -> float | None:
        """Return how fast it multiplies, 1 as fast as a product of matrices.

        None of a stage that does not multiply alone. A convolution may well be above 1.
        """
        if self.macs == 0 or self.moved > 0:
            return None
        return 2 * self.macs / machine.gemm / self.timing.median

    def as_json(self, machine: Machine) -> dict[str, Any]:
        """Return plain values for a file."""
        return {
            "stage": self.name,
            "frames": self.frames,
            "repeats": self.timing.repeats,
            "seconds": self.timing.median,
            "fastest_seconds": self.timing.fastest,
            "ms_a_frame": 1e3 * self.timing.median / self.frames,
            "frames_per_second": self.frames / self.timing.median,
            "limit_frames_per_second": self.frames / self.limit(machine),
            "share_of_limit": self.share(machine),
            "share_of_gemm": self.share_of_gemm(machine),
            "multiply_adds": self.macs,
            "bytes": self.moved,
        }


def measure_stages(
    video: Path,
    *,
    network: Network,
    backbone: Runner,
    whole: Runner,
    predict: Callable[[Path], object],
    snippets: int = 25,
    seconds: float = 2.0,
    announce: Callable[[str], None] = lambda stage: None,
) -> Iterator[Stage]:
    """Yield the stages of a prediction, each as soon as it is measured.

    They are `decode`, `preprocess` into ten crops, `backbone` (with its classifier), `OFF` (the
    whole network, where it is one) and `predict`.

    Args:
        video: What is decoded and predicted.
        network: As it was built or loaded: what must be multiplied is counted on it, since
            what runs may do more to be faster.
        backbone: What runs the TSN of the network, on the CPU.
        whole: What runs the network, on the CPU.
        predict: Takes the video to its classes; looks at `snippets` frames at the centre.
        snippets: Frames that are looked at.
        seconds: Time for each stage.
        announce: Called with the name of each stage before it is measured.
    """

    def stage(
        name: str, frames: int, work: Callable[[], object], *, macs: int = 0, moved: int = 0
    ) -> Stage:
        announce(name)
        return Stage(
            name=name,
            frames=frames,
            timing=timed(work, seconds=seconds),
            macs=macs,
            moved=moved,
        )

    frames, length = _decode(video, snippets)
    decoding = _decoding_bytes(video, frames, length)
    yield stage("decode", length, lambda: _decode(video, snippets), moved=decoding)

    def crops() -> Tensor:
        return views_in_memory(frames, whole, crops=10)

    size = network.preprocessing.size
    yield stage("preprocess", snippets, crops, moved=_cropping_bytes(frames, size, crops=10))

    clips = views_in_memory(frames, whole, crops=1)
    tsn = network.tsn if isinstance(network, OFF) else network
    see = torch.inference_mode()(lambda: backbone(clips))
    yield stage("backbone", snippets, see, macs=macs_of(tsn, clips))

    if isinstance(network, OFF):
        see_motion = torch.inference_mode()(lambda: whole(clips))
        yield stage("OFF", snippets, see_motion, macs=macs_of(network, clips))

    # Of a short video each frame is looked at once, though it was cropped several times above.
    seen = min(max(length, 2), snippets)
    moved = decoding + _cropping_bytes(frames[:seen], size, crops=1)
    macs = macs_of(network, clips[:, :seen])
    yield stage("predict", seen, lambda: predict(video), macs=macs, moved=moved)


def _decode(video: Path, snippets: int) -> tuple[UInt8[np.ndarray, "K H W 3"], int]:
    """Return the frames looked at and the length of a video, which is judged as well."""
    with open_video(video) as reader:
        length = len(reader)
        frames = reader.frames_at(segment_centres(length, segments=snippets).tolist())
        reader.verdict()
    return frames, length


def _decoding_bytes(video: Path, frames: UInt8[np.ndarray, "K H W 3"], length: int) -> int:
    """Return the bytes that decoding moves.

    The file is read once, the planes of every frame are written once, and those of the frames
    looked at are read again and written as RGB.
    """
    files = video.iterdir() if video.is_dir() else [video]
    compressed = sum(file.stat().st_size for file in files)
    pixels: int = frames[0].size // 3
    looked_at = min(len(frames), length)
    planes = int((length + looked_at) * pixels * _PLANE_BYTES_A_PIXEL)
    return compressed + planes + looked_at * 3 * pixels


def _cropping_bytes(frames: UInt8[np.ndarray, "K H W 3"], size: int, *, crops: int) -> int:
    """Return the bytes that preprocessing moves: frames are read once and crops written once."""
    values = crops * len(frames) * 3 * size * size
    return frames.nbytes + values * _CLIP_BYTES_A_VALUE
