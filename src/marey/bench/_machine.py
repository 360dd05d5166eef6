"""What a machine can do at most, and how much a network asks of it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ._timing import timed


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

    def or_better(self, other: "Machine") -> "Machine":
        """Return the higher of both figures, as when this machine was busy the first time."""
        return Machine(
            threads=self.threads,
            flops=max(self.flops, other.flops),
            bandwidth=max(self.bandwidth, other.bandwidth),
        )

    def as_json(self) -> dict[str, Any]:
        """Return plain values for a file."""
        return {
            "threads": self.threads,
            "gflops": self.flops / 1e9,
            "gigabytes_per_second": self.bandwidth / 1e9,
        }


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
        with torch.no_grad():  # Where gradients are kept, frozen units fold without their layers.
            work()
    finally:
        for hook in hooks:
            hook.remove()
    return total
