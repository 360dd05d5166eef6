"""Time testing and training on a GPU, beside what its arithmetic and memory allow.

    python benchmarks/gpu.py
    python benchmarks/gpu.py --compile
    python benchmarks/gpu.py --device cpu --quick

A video is 25 snippets x 10 crops. A network is timed as PyTorch runs it by itself, with 32-bit
floats and its kernels launched one by one; as `marey test` runs it; and as `marey test` does from
the bytes of the frames on, which are uploaded, cropped and normalised. A training step is that of
`marey train`, of bytes already decoded. Times are medians.

Of each convolution and linear layer the limit is the longer of two times: its multiply-adds over
the peak of a product of matrices, and its input, weights and output over the bandwidth of a copy.
A layer that is learnt is counted three times. Everything else is taken to cost nothing. The last
line above shows that all this works where there is no GPU, and nothing else.
"""

import argparse
import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from marey.backends import in_bfloat16, runner_of
from marey.bench import count_macs, timed
from marey.data import Sample
from marey.evaluation import Views, score_snippets
from marey.models import SNIPPET_CHANNELS, Network, build_model, for_inference
from marey.settings import Optimisation
from marey.training import build_optimiser, losses_of

CLASSES = 101
BACKBONES = ("bn_inception", "efficientnet_lite0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """A device, and how much it is given to do."""

    device: torch.device
    seconds: float
    """Time for each measurement."""

    snippets: int
    size: int
    """Rows and columns of a crop, pixels."""

    frame: tuple[int, int]
    """Rows and columns of the frames that crops are cut from."""

    batches: tuple[int, ...]
    """Videos of a training step, from the fewest on."""

    flops: float = math.inf
    """Operations a second in a product of matrices."""

    bandwidth: float = math.inf
    """Bytes a second, read and written, in a copy."""

    @property
    def is_gpu(self) -> bool:
        """Return whether the device computes by itself, and with 16-bit floats."""
        return self.device.type == "cuda"

    @property
    def floats(self) -> torch.dtype:
        """Return the numbers that it computes with."""
        return torch.bfloat16 if self.is_gpu else torch.float32

    def timed(self, work: Callable[[], object]) -> float:
        """Return the median seconds of work that is waited for."""

        def whole() -> None:
            work()
            if self.is_gpu:
                torch.cuda.synchronize(self.device)

        if self.is_gpu:
            whole()  # A shape is recorded when it comes again.
        return timed(whole, seconds=self.seconds).median

    def network(self, name: str) -> Network:
        """Return a network on the device whose crops have the size wanted."""
        model = build_model(name, num_classes=CLASSES)
        short_side = min(self.frame)
        model.preprocessing = replace(model.preprocessing, size=self.size, short_side=short_side)
        return model.to(self.device)


def measured(bench: Bench, *, side: int, copied: int) -> Bench:
    """Return the bench with the device's peak and bandwidth."""
    left, right = (torch.rand(side, side, device=bench.device).to(bench.floats) for _ in range(2))
    source, target = (torch.ones(copied, dtype=torch.uint8, device=bench.device) for _ in range(2))
    return replace(
        bench,
        flops=2 * side**3 / bench.timed(lambda: left @ right),
        bandwidth=2 * copied / bench.timed(lambda: target.copy_(source)),
    )


def asked_for(bench: Bench, model: Network, shape: tuple[int, ...]) -> tuple[int, float]:
    """Return the multiply-adds for clips of a shape and the seconds that they take at the limit.

    Nothing is computed: layers only tell the shapes of what they would answer.
    """
    shapes = copy.deepcopy(model).eval().to("meta")
    width = bench.floats.itemsize
    seconds, more = 0.0, 0

    def add(layer: nn.Module, given: tuple[Tensor, ...], answer: Tensor) -> None:
        nonlocal seconds, more
        macs = answer.numel() * layer.weight[0].numel()
        moved = width * (given[0].numel() + layer.weight.numel() + answer.numel())
        # What learns finds the gradients of what it was given, and of its weights, too.
        times = 3 if model.training and layer.weight.requires_grad else 1
        seconds += times * max(2 * macs / bench.flops, moved / bench.bandwidth)
        more += (times - 1) * macs

    for layer in shapes.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.register_forward_hook(add)
    macs = count_macs(shapes, lambda: shapes(torch.empty(shape, device="meta")))
    return macs + more, seconds


def row(what: str, frames: int, took: float, macs: int, limit: float, bench: Bench) -> str:
    """Return a line of a table."""
    speed = 2 * macs / took
    return (
        f"| {what} | {frames / took:,.0f} | {speed / 1e12:.3g} | {speed / bench.flops:.1%} | "
        f"{frames / limit:,.0f} | {limit / took:.1%} |"
    )


COLUMNS = "frames/s | TFLOP/s | of the peak | limit, frames/s | reached |\n" + "|---" * 6 + "|"


def testing(bench: Bench, name: str, *, compiled: bool) -> Iterator[str]:
    """Yield the lines of one network in testing."""
    model = bench.network(name).eval()
    shape = (10, bench.snippets, SNIPPET_CHANNELS["rgb"], bench.size, bench.size)
    clips = torch.rand(shape, device=bench.device)
    snippets = torch.randint(0, 256, (*shape[1:3], *bench.frame), dtype=torch.uint8)
    snippets = snippets.contiguous(memory_format=torch.channels_last)  # As decoders lay it out.
    if bench.is_gpu:
        snippets = snippets.pin_memory()
    plain = for_inference(model)
    runner = runner_of(model, backend="torch", device=str(bench.device))
    views = Views(snippets=bench.snippets)
    ways: dict[str, Callable[[], object]] = {
        "32 bits, one by one": lambda: plain(clips),
        "as `marey test`": lambda: runner(clips),
        "the same, from bytes": lambda: score_snippets(runner, snippets, views=views),
    }
    if compiled:
        network = for_inference(model)
        network = in_bfloat16(network) if bench.is_gpu else network
        quick = torch.compile(network, mode="reduce-overhead", dynamic=False)
        ways["compiled by PyTorch"] = lambda: quick(clips)
    macs, limit = asked_for(bench, model, shape)
    for way, work in ways.items():
        try:
            with torch.inference_mode():
                took = bench.timed(work)
        except torch.cuda.OutOfMemoryError:
            yield f"| `{name}`, {way} | out of memory |"
        else:
            yield row(f"`{name}`, {way}", shape[0] * shape[1], took, macs, limit, bench)


def training(bench: Bench, name: str, snippets: int) -> Iterator[str]:
    """Yield the line of one network in training, at the number of videos where it is fastest."""
    model = bench.network(name).train()
    if name.startswith("off_"):
        model.freeze_backbone()
    else:
        model.freeze_batch_norm()
    optimiser = build_optimiser(model, Optimisation())
    learnt = [parameter for parameter in model.parameters() if parameter.requires_grad]
    best, line = 0.0, ""
    for videos in bench.batches:
        shape = (videos, snippets, SNIPPET_CHANNELS["rgb"], bench.size, bench.size)
        batch = decoded(shape, pinned=bench.is_gpu)

        def step(batch: Sample = batch) -> None:
            """Learn from a batch, as `marey train` does."""
            losses = losses_of(model, batch)
            losses.mean().backward()
            norm = nn.utils.clip_grad_norm_(learnt, 20.0)
            torch.cat([norm[None], losses.detach()]).cpu()
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)

        try:
            took = bench.timed(step)
        except torch.cuda.OutOfMemoryError:
            break
        if videos / took < best:
            break
        best = videos / took
        macs, limit = asked_for(bench, model, shape)
        what = f"`{name}`, {videos} videos x {snippets} snippets"
        line = row(what, videos * snippets, took, macs, limit, bench)
    yield line or f"| `{name}` | out of memory |"


def decoded(shape: tuple[int, ...], *, pinned: bool) -> Sample:
    """Return a batch as it comes from the processes that decode."""
    clip = torch.randint(0, 256, shape, dtype=torch.uint8)
    numbers = torch.arange(shape[0])
    batch = Sample(clip, numbers % CLASSES, numbers, numbers % 2 == 0)
    return Sample(*(part.pin_memory() for part in batch)) if pinned else batch


def main() -> None:
    """Run the measurements from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda", help="cuda, cuda:1, or cpu (cuda)")
    parser.add_argument("--seconds", type=float, default=2.0, help="for each measurement (2)")
    parser.add_argument("--compile", action="store_true", help="compile networks, too: minutes")
    parser.add_argument("--backbone", choices=BACKBONES, help="one of them; both if not given")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to see that it works")
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        parser.error(
            "torch sees no GPU, so there is nothing to measure; --device cpu --quick shows that "
            "the benchmark works"
        )
    batches = tuple(32 << power for power in range(7))
    bench = Bench(
        device=device,
        seconds=arguments.seconds,
        snippets=25,
        size=224,
        frame=(256, 340),
        batches=batches,
    )
    side, copied = (8192, 1 << 30) if bench.is_gpu else (2048, 256 << 20)
    if arguments.quick:
        bench = replace(bench, seconds=0.0, snippets=2, size=32, frame=(36, 48), batches=(2,))
        side, copied = 256, 1 << 20
    bench = measured(bench, side=side, copied=copied)
    backbones = (arguments.backbone,) if arguments.backbone else BACKBONES
    card = torch.cuda.get_device_name(device) if bench.is_gpu else "CPU"
    print(
        f"{card}, torch {torch.__version__}: {bench.flops / 1e12:.4g} TFLOP/s in a product of "
        f"matrices ({bench.floats}), {bench.bandwidth / 1e9:,.0f} GB/s in a copy\n"
    )
    print(f"| testing, {bench.snippets} x 10 crops of {bench.size}x{bench.size} | {COLUMNS}")
    for backbone in backbones:
        for kind in ("tsn", "off"):
            for line in testing(bench, f"{kind}_{backbone}", compiled=arguments.compile):
                print(line, flush=True)
    print(f"\n| a training step | {COLUMNS}")
    for backbone in backbones:
        for kind, snippets in (("tsn", 3), ("off", 7)):
            for line in training(bench, f"{kind}_{backbone}", snippets):
                print(line, flush=True)


if __name__ == "__main__":
    main()
