"""How fast each stage from a video to its classes is, and how fast this machine could be.

A stage's limit is its operations over the machine's peak and its bytes over the machine's
bandwidth, and peak and bandwidth are measured, not looked up. Operations are the multiply-adds
of the convolutions and linear layers that run; bytes are those that no program could leave
unmoved, each stage saying which. Caches are not thought of, and convolutions are taken to be
direct ones.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from marey.data import centre_box, segment_centres, ten_crops
from marey.evaluation import Views, snippets_of
from marey.models import OFF, Network
from marey.video import open_video

_MIN_REPEATS = 3
_CLIP_BYTES_A_VALUE = 4  # The network's input is float32.
_PLANE_BYTES_A_PIXEL = 1.5  # Decoders give 4:2:0: one colour value pair for four pixels.


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Seconds that some work took."""

    median: float
    fastest: float
    repeats: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What this machine can do at most."""

    threads: int
    flops: float
    """Multiplications and additions a second, of 32-bit floats, in a product of matrices."""

    bandwidth: float
    """Bytes a second, read and written, in a copy that is larger than the caches."""

    def limit(self, *, macs: int = 0, moved: int = 0) -> float:
        """Return the seconds that work cannot do without.

        Args:
            macs: Multiply-adds, which are two operations each.
            moved: Bytes read and written.
        """
        return 2 * macs / self.flops + moved / self.bandwidth


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One stage of a prediction as measured."""

    name: str
    frames: int
    """Frames that one repetition treats."""

    timing: Timing
    macs: int
    moved: int
    limit: float
    """Seconds that one repetition would take at the machine's limit."""

    @property
    def share(self) -> float:
        """How much of the limit's speed is reached, 1 at the limit."""
        return self.limit / self.timing.median

    def as_json(self) -> dict[str, Any]:
        """Return plain values for a file."""
        return {
            "stage": self.name,
            "frames": self.frames,
            "repeats": self.timing.repeats,
            "seconds": self.timing.median,
            "fastest_seconds": self.timing.fastest,
            "ms_a_frame": 1e3 * self.timing.median / self.frames,
            "frames_per_second": self.frames / self.timing.median,
            "limit_frames_per_second": self.frames / self.limit,
            "share_of_limit": self.share,
            "multiply_adds": self.macs,
            "bytes": self.moved,
        }


def timed(work: Callable[[], object], *, seconds: float) -> Timing:
    """Do work once to warm up, then again and again for some seconds, at least three times."""
    work()
    taken: list[float] = []
    while len(taken) < _MIN_REPEATS or sum(taken) < seconds:
        taken.append(_seconds(work))
    return _timing(taken)


def timed_in_turn(*works: Callable[[], object], repeats: int) -> list[Timing]:
    """Time several works that are to be compared, turn by turn: A B A B.

    Whatever else the machine does meanwhile then slows all of them alike.
    """
    for work in works:
        work()
    taken = [[_seconds(work) for work in works] for _ in range(repeats)]
    return [_timing(column) for column in zip(*taken, strict=True)]


def measure_machine(*, seconds: float, side: int = 2048, copied: int = 256 << 20) -> Machine:
    """Return what this machine can do with the threads that torch may use now.

    The fastest repetition counts: a limit is what nothing exceeds.

    Args:
        seconds: Time for each of the two measurements.
        side: Rows and columns of the matrices that are multiplied.
        copied: Bytes of the block that is copied; larger than the caches.
    """
    left, right, product = (torch.rand(side, side) for _ in range(3))
    gemm = timed(lambda: torch.mm(left, right, out=product), seconds=seconds)
    # Memory that was never written reads as one page of zeros, and copies far too fast.
    source, target = (torch.ones(copied, dtype=torch.uint8) for _ in range(2))
    copy = timed(lambda: target.copy_(source), seconds=seconds)
    return Machine(
        threads=torch.get_num_threads(),
        flops=2 * side**3 / gemm.fastest,
        bandwidth=2 * copied / copy.fastest,
    )


def count_macs(network: nn.Module, work: Callable[[], object]) -> int:
    """Return the multiply-adds of a network's convolutions and linear layers while work runs.

    Multiplications by the zeros around a map count, as everywhere; biases do not.
    """
    total = 0

    def add(layer: nn.Module, _: object, answer: Tensor) -> None:
        nonlocal total
        assert isinstance(layer, nn.Conv2d | nn.Linear)
        # A row of the weight is what one value of the answer is multiplied together from.
        total += answer.numel() * layer.weight[0].numel()

    layers = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    hooks = [layer.register_forward_hook(add) for layer in layers]
    try:
        work()
    finally:
        for hook in hooks:
            hook.remove()
    return total


def measure_stages(
    video: Path,
    *,
    network: Network,
    predict: Callable[[Path], object],
    machine: Machine,
    snippets: int = 25,
    seconds: float = 2.0,
    announce: Callable[[str], None] = lambda stage: None,
) -> Iterator[Stage]:
    """Yield the stages of a prediction, each as soon as it is measured.

    They are `decode`, `preprocess` into ten crops, `backbone`, `OFF` (the whole network, where
    it is one) and `predict`.

    Args:
        video: What is decoded and predicted.
        network: From `for_inference`, on the CPU.
        predict: Takes the video to its classes; looks at `snippets` frames at the centre.
        machine: From `measure_machine`.
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
            limit=machine.limit(macs=macs, moved=moved),
        )

    frames, length = _decode(video, snippets)
    decoding = _decoding_bytes(video, frames, length)
    yield stage("decode", length, lambda: _decode(video, snippets), moved=decoding)

    def crops() -> Tensor:
        return ten_crops(_snippets(frames, network), size=size, modality=network.modality)

    size = network.preprocessing.size
    yield stage("preprocess", snippets, crops, moved=_cropping_bytes(frames, size, crops=10))

    clips = _centre(_snippets(frames, network), size)
    tsn = network.tsn if isinstance(network, OFF) else network
    backbone = torch.inference_mode()(lambda: tsn.maps(clips))
    macs = count_macs(network, backbone)
    yield stage("backbone", snippets, backbone, macs=macs)

    if isinstance(network, OFF):
        whole = torch.inference_mode()(lambda: network(clips))
        macs = count_macs(network, whole)
        yield stage("OFF", snippets, whole, macs=macs)

    # Of a short video each frame is looked at once, though it was cropped several times above.
    seen = min(max(length, 2), snippets)
    moved = decoding + _cropping_bytes(frames[:seen], size, crops=1)
    macs = count_macs(network, torch.inference_mode()(lambda: network(clips[:, :seen])))
    yield stage("predict", seen, lambda: predict(video), macs=macs, moved=moved)


@dataclass(frozen=True, slots=True)
class _Decoded:
    """Frames in memory, as a video to take all of them from."""

    frames: UInt8[np.ndarray, "T H W 3"]

    def __len__(self) -> int:
        return len(self.frames)

    def frames_at(self, indices: Sequence[int], /) -> UInt8[np.ndarray, "K H W 3"]:
        answer: UInt8[np.ndarray, "K H W 3"] = self.frames[indices]
        return answer


def _decode(video: Path, snippets: int) -> tuple[UInt8[np.ndarray, "K H W 3"], int]:
    """Return the frames looked at and the length of a video, which is judged as well."""
    with open_video(video) as reader:
        length = len(reader)
        frames = reader.frames_at(segment_centres(length, segments=snippets).tolist())
        reader.verdict()
    return frames, length


def _snippets(frames: UInt8[np.ndarray, "K H W 3"], network: Network) -> Float[Tensor, "K C H2 W2"]:
    return snippets_of(
        _Decoded(frames),
        views=Views(snippets=len(frames)),
        preprocessing=network.preprocessing,
        modality=network.modality,
    )


def _centre(snippets: Float[Tensor, "K C H W"], size: int) -> Float[Tensor, "1 K C S S"]:
    top, left, _, _ = centre_box(snippets.shape[-2], snippets.shape[-1], size=size)
    return snippets[None, ..., top : top + size, left : left + size]


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


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _timing(taken: Sequence[float]) -> Timing:
    return Timing(median=median(taken), fastest=min(taken), repeats=len(taken))
