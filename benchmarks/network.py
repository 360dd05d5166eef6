"""Time BN-Inception, with OFF and without, as its originals run it and as we do, in one run.

    python benchmarks/network.py
    python benchmarks/network.py --threads 1 --repeats 5

The originals keep batch normalization apart and maps channel by channel; `for_inference` merges
the one into the convolutions and lays out the others pixel by pixel. Both answer alike, which is
checked first. The limit is the multiply-adds over the peak of a product of matrices.
"""

import argparse
from collections.abc import Callable

import torch
from torch import Tensor

from marey.allocator import keep_freed_memory
from marey.bench import Machine, count_macs, measure_machine, timed_in_turn
from marey.models import (
    OFF,
    Network,
    for_inference,
    off_bn_inception,
    tsn_bn_inception,
)

CLASSES = 101
SIZE = 224


@torch.inference_mode()
def answers(network: Network, images: Tensor) -> dict[str, Tensor]:
    """Return the logits of the snippets of one video.

    The network's own forward would lay the images out pixel by pixel, so its parts are called.
    """
    tsn = network.tsn if isinstance(network, OFF) else network
    return network.heads(tsn.backbone(images), snippets=len(images))


def as_originals(network: Network) -> Network:
    """Lay the network out channel by channel, for inference but with its batch normalization."""
    network.eval().to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    return network


def compare(name: str, network: Network, *, frames: int, repeats: int, machine: Machine) -> None:
    """Time one network in both ways and print a line on each."""
    images = torch.randn(frames, 3, SIZE, SIZE)
    pixelwise = images.contiguous(memory_format=torch.channels_last)
    ours = for_inference(network)
    theirs = as_originals(network)
    for head, logits in answers(theirs, images).items():
        torch.testing.assert_close(answers(ours, pixelwise)[head], logits, rtol=1e-3, atol=1e-4)
    ways: dict[str, Callable[[], object]] = {
        "as originals": lambda: answers(theirs, images),
        "for_inference": lambda: answers(ours, pixelwise),
    }
    timings = dict(zip(ways, timed_in_turn(*ways.values(), repeats=repeats), strict=True))
    # Again, because a limit is what nothing exceeds and the machine may have been busy before.
    machine = machine.or_better(measure_machine(seconds=1.0))
    limit = machine.limit(macs=count_macs(ours, ways["for_inference"])) / frames
    for way, timing in timings.items():
        a_frame = timing.median / frames
        print(
            f"{name:17} {way:14} {1e3 * a_frame:7.2f} ms a frame  "
            f"(fastest {1e3 * timing.fastest / frames:.2f}), {limit / a_frame:.0%} of the limit"
        )
    ratio = timings["as originals"].median / timings["for_inference"].median
    print(
        f"{name:17} ratio {ratio:.2f}, limit {1e3 * limit:.2f} ms a frame at the peak of "
        f"{machine.flops / 1e9:.1f} GFLOP/s\n"
    )


def main() -> None:
    """Run the comparison from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=25, help="frames of a video (25)")
    parser.add_argument("--threads", type=int, help="CPU threads; all cores if not given")
    parser.add_argument("--repeats", type=int, default=9, help="paired runs (9)")
    arguments = parser.parse_args()
    keep_freed_memory()
    torch.set_num_threads(arguments.threads or torch.get_num_threads())
    machine = measure_machine(seconds=2.0)
    print(
        f"torch {torch.__version__}, {machine.threads} threads; {arguments.frames} frames of "
        f"{SIZE}x{SIZE}, medians of {arguments.repeats} paired runs\n"
    )
    for name, network in (
        ("BN-Inception", tsn_bn_inception(num_classes=CLASSES)),
        ("OFF, BN-Inception", off_bn_inception(num_classes=CLASSES)),
    ):
        compare(name, network, frames=arguments.frames, repeats=arguments.repeats, machine=machine)


if __name__ == "__main__":
    main()
