"""Optical flow by RAFT-small, with weights that the user supplies.

Axes: T frames, B pairs of them, C channels, H rows, W columns; h and w, an eighth of those; a
flow is x, then y.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8
from torch import Tensor
from torch.nn import functional as F

from marey.errors import UsageError

from ._raft_network import SHORTEST, STRIDE, RAFTSmall
from ._raft_weights import load_raft_small

PAIRS_AT_ONCE = 8
"""Pairs in memory together: at 340 x 256 about 40 MB each, growing with the square of the pixels.

A CPU takes as long for one pair alone; a GPU needs several to be busy."""

Flow = Callable[[UInt8[np.ndarray, "T H W 3"]], Float32[np.ndarray, "T-1 H W 2"]]


def raft_small(weights: Path, *, iterations: int = 12, device: str = "cpu") -> Flow:
    """Return what takes consecutive RGB frames to the flow, in pixels, from each to the next.

    Args:
        weights: File with the tensors of RAFT-small under the names that its authors gave them.
        iterations: How often the flow of a pair is corrected; the time grows with it.
        device: Where torch computes.

    Raises:
        UsageError: There is no such file, or nothing would be iterated.
        RefusedError: The file holds more than tensors; none of it was run.
        CheckpointError: The file is damaged, or holds other tensors.
    """
    if iterations < 1:
        raise UsageError(f"RAFT needs at least 1 iteration, got {iterations}")
    network = load_raft_small(weights).to(device)

    def flow(frames: UInt8[np.ndarray, "T H W 3"]) -> Float32[np.ndarray, "T-1 H W 2"]:
        return _flow(network, frames, iterations=iterations)

    return flow


@torch.inference_mode()
def _flow(
    network: RAFTSmall, frames: UInt8[np.ndarray, "T H W 3"], *, iterations: int
) -> Float32[np.ndarray, "T-1 H W 2"]:
    """Return the flow of all pairs; what a frame shows is computed once for both of its pairs."""
    height, width = frames.shape[1:3]
    above, left = _before(height), _before(width)
    flow = np.empty((len(frames) - 1, height, width, 2), np.float32)
    last = network.fnet(_prepared(network, frames[:1]))
    for start in range(0, len(flow), PAIRS_AT_ONCE):
        images = _prepared(network, frames[start : start + PAIRS_AT_ONCE + 1])
        features = torch.cat([last, network.fnet(images[1:])])
        last = features[-1:]
        pairs = network(
            network.cnet(images[:-1]), features[:-1], features[1:], iterations=iterations
        )
        pairs = pairs[:, :, above : above + height, left : left + width]
        flow[start : start + PAIRS_AT_ONCE] = pairs.permute(0, 2, 3, 1).cpu().numpy()
    return flow


def _prepared(
    network: RAFTSmall, frames: UInt8[np.ndarray, "T H W 3"]
) -> Float[Tensor, "T 3 padded_H padded_W"]:
    """Return frames from -1 to 1, their edges repeated until the network can divide them."""
    pixels = torch.from_numpy(np.array(frames, order="C"))  # A copy: frames may be read-only.
    images = pixels.to(network.device).permute(0, 3, 1, 2) / 127.5 - 1
    padding: list[int] = []
    for length in (frames.shape[2], frames.shape[1]):
        before = _before(length)
        padding += [before, _padded(length) - length - before]
    return F.pad(images, padding, mode="replicate")


def _padded(length: int) -> int:
    return max(SHORTEST, -(-length // STRIDE) * STRIDE)


def _before(length: int) -> int:
    """Return how much of the padding of a side comes before the frame: half of it."""
    return (_padded(length) - length) // 2
