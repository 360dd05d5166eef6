"""Time BN-Inception, with OFF and without, as its originals run it and as we do, in one run.

    python benchmarks/network.py
    python benchmarks/network.py --threads 1 --repeats 5

The originals keep batch normalization apart and maps channel by channel; `for_inference` merges
the one into the convolutions, lays out the others pixel by pixel and splits OFF's work; ONNX
Runtime and OpenVINO run the same as a graph, where they are installed. All answer alike, which is
checked first. What is needed of multiply-adds is set beside the peak: of a product of matrices
(GEMM), and of the fastest product of all, which is the limit.
"""

import argparse
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec

import torch
from torch import Tensor

from marey.allocator import keep_freed_memory
from marey.backends import (
    OnnxRunner,
    OpenVINORunner,
    Runner,
    graph_facts,
    onnx_graph,
    openvino_network,
)
from marey.bench import Machine, macs_of, measure_machine, timed_in_turn
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


def graph_runners(network: Network) -> dict[str, Runner]:
    """Return the network as the other runtimes that are installed run it."""
    if not (find_spec("onnx") and find_spec("onnxscript")):
        return {}
    graph, threads = onnx_graph(network), torch.get_num_threads()
    runners: dict[str, Runner] = {}
    if find_spec("onnxruntime"):
        runners["onnxruntime"] = OnnxRunner(graph, threads=threads)
    if find_spec("openvino"):
        facts = graph_facts(graph)
        runners["openvino"] = OpenVINORunner(openvino_network(graph), facts, threads=threads)
    return runners


def ways_of(network: Network, images: Tensor) -> dict[str, Callable[[], dict[str, Tensor]]]:
    """Return all ways of running a network on the frames of one video."""
    pixelwise = images.contiguous(memory_format=torch.channels_last)
    folded = for_inference(network)
    runners = graph_runners(network)
    theirs = as_originals(network)
    ways: dict[str, Callable[[], dict[str, Tensor]]] = {
        "as originals": lambda: answers(theirs, images),
        "for_inference": lambda: answers(folded, pixelwise),
    }
    return ways | {name: partial(runner, images[None]) for name, runner in runners.items()}


def compare(name: str, network: Network, *, frames: int, repeats: int, machine: Machine) -> None:
    """Time one network in all ways and print a line on each."""
    images = torch.randn(frames, 3, SIZE, SIZE)
    macs = macs_of(network, images[None])
    ways = ways_of(network, images)
    expected = ways["as originals"]()
    for run in ways.values():
        torch.testing.assert_close(run(), expected, rtol=1e-3, atol=1e-4)
    timings = dict(zip(ways, timed_in_turn(*ways.values(), repeats=repeats), strict=True))
    # Again, because a limit is what nothing exceeds and the machine may have been busy before.
    machine = machine.or_better(measure_machine(seconds=1.0))
    limit, by_gemm = machine.limit(macs=macs), 2 * macs / machine.gemm
    for way, timing in timings.items():
        print(
            f"{name:17} {way:13} {1e3 * timing.median / frames:7.2f} ms a frame "
            f"(fastest {1e3 * timing.fastest / frames:6.2f}), "
            f"{timings['as originals'].median / timing.median:5.2f} times the originals, "
            f"{by_gemm / timing.median:4.0%} of GEMM, {limit / timing.median:4.0%} of the limit"
        )
    print(
        f"{name:17} limit {1e3 * limit / frames:.2f} ms a frame at the peak of "
        f"{machine.flops / 1e9:.1f} GFLOP/s; GEMM {1e3 * by_gemm / frames:.2f} ms at "
        f"{machine.gemm / 1e9:.1f} GFLOP/s\n"
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
