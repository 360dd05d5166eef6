"""What a machine can do at most, and how much a network asks of it."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from ._timing import timed

# Of the convolutions that are tried: as large as those in the middle of a network.
_IMAGES, _MAP = 32, 28


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What this machine can do at most."""

    threads: int
    gemm: float
    """Multiplications and additions a second, of 32-bit floats, in a product of matrices."""

    flops: float
    """The same in the fastest of several products, convolutions among them: the limit."""

    bandwidth: float
    """Bytes a second, read and written, in a copy that is larger than the caches."""

    def limit(self, *, macs: int = 0, moved: int = 0) -> float:
        """Return the seconds that work cannot do without.

        Args:
            macs: Multiply-adds, which are two operations each.
            moved: Bytes read and written.
        """
        return 2 * macs / self.flops + moved / self.bandwidth

    def or_better(self, other: "Machine") -> "Machine":
        """Return the higher of all figures, as when this machine was busy the first time."""
        return Machine(
            threads=self.threads,
            gemm=max(self.gemm, other.gemm),
            flops=max(self.flops, other.flops),
            bandwidth=max(self.bandwidth, other.bandwidth),
        )

    def as_json(self) -> dict[str, Any]:
        """Return plain values for a file."""
        return {
            "threads": self.threads,
            "gflops": self.flops / 1e9,
            "gemm_gflops": self.gemm / 1e9,
            "gigabytes_per_second": self.bandwidth / 1e9,
        }


def measure_machine(
    *, seconds: float, side: int = 2048, channels: int = 256, copied: int = 256 << 20
) -> Machine:
    """Return what this machine can do with the threads that torch may use now.

    A limit is what nothing exceeds, so the fastest repetition counts, and of the products the
    fastest: of matrices of two sizes (on a machine that does other work too, only short ones
    are over before it), and convolutions of 3 x 3 and of one pixel, which some processors do
    faster than a product of matrices.

    Args:
        seconds: Time for all products together, and again for the copy.
        side: Rows and columns of the matrices that are multiplied; then of a quarter of them.
        channels: Channels that the convolutions take and give.
        copied: Bytes of the block that is copied; larger than the caches.
    """
    share = seconds / 4
    gemm = max(_product(side, share), _product(side // 4, share))
    convolution = max(_convolution(channels, kernel, share) for kernel in (3, 1))
    # Memory that was never written reads as one page of zeros, and copies far too fast.
    source, target = (torch.ones(copied, dtype=torch.uint8) for _ in range(2))
    copy = timed(lambda: target.copy_(source), seconds=seconds)
    return Machine(
        threads=torch.get_num_threads(),
        gemm=gemm,
        flops=max(gemm, convolution),
        bandwidth=2 * copied / copy.fastest,
    )


def _product(side: int, seconds: float) -> float:
    """Return the operations a second of a product of square matrices."""
    left, right, product = (torch.rand(side, side) for _ in range(3))
    timing = timed(lambda: torch.mm(left, right, out=product), seconds=seconds)
    return 2 * side**3 / timing.fastest


def _convolution(channels: int, kernel: int, seconds: float) -> float:
    """Return the operations a second of a convolution, maps laid out pixel by pixel."""
    maps, weight = (
        torch.rand(shape).contiguous(memory_format=torch.channels_last)
        for shape in ((_IMAGES, channels, _MAP, _MAP), (channels, channels, kernel, kernel))
    )
    timing = timed(lambda: F.conv2d(maps, weight, padding=kernel // 2), seconds=seconds)
    return 2 * maps.numel() * weight[0].numel() / timing.fastest


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
        with torch.no_grad():  # Where gradients are kept, frozen units fold without their layers.
            work()
    finally:
        for hook in hooks:
            hook.remove()
    return total


def macs_of(network: nn.Module, clips: Float[Tensor, "N K C H W"]) -> int:
    """Return the multiply-adds that a network asks for as it is defined, doing none of them.

    What runs may do more to be faster, as `for_inference` does, which no limit must count.
    """
    shapes = copy.deepcopy(network).eval().to("meta")
    return count_macs(shapes, lambda: shapes(clips.to("meta")))
