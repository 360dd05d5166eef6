"""`marey bench`."""

import json as json_module
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from marey.errors import UsageError

from ._printable import printable
from .predict import DEFAULT_MODEL

if TYPE_CHECKING:
    from marey.bench import Machine, Stage

Backbone = Literal["bn_inception", "efficientnet_lite0"]

_CLASSES = 101


def bench(
    video: Path | None = None,
    /,
    *,
    model: Annotated[str | None, Parameter(alias="-m")] = None,
    network: Backbone | None = None,
    snippets: int = 25,
    threads: int | None = None,
    seconds: float = 2.0,
    json: bool = False,
    quiet: Annotated[bool, Parameter(alias="-q")] = False,
) -> None:
    """Measure how fast each stage of a prediction is, beside this machine's limit.

    Example: `marey bench clip.mp4 --network bn_inception`

    The limit follows from the processor's peak (operations a second in a product of matrices)
    and the memory's bandwidth (bytes a second in a copy), which are measured first. Times are
    medians of at least three repetitions. Measure on a machine that does nothing else.

    Args:
        video: What to decode and predict; the first bundled clip unless given.
        model: A bundled network (see `marey models`) or a checkpoint file.
        network: Or the OFF network on this backbone, untrained, which is as fast as trained.
        snippets: Frames to look at.
        threads: CPU threads; all cores unless given.
        seconds: Time for each stage, at least.
        json: Print one JSON document.
        quiet: Do not say what is being measured.
    """
    _check(model, network, snippets=snippets, threads=threads, seconds=seconds)
    video = video or _bundled_clip()

    import torch

    from marey.allocator import keep_freed_memory
    from marey.bench import measure_machine, measure_stages
    from marey.evaluation import Views
    from marey.predictor import Predictor

    def announce(what: str) -> None:
        if not quiet:
            print(f"measuring {what}", file=sys.stderr, flush=True)

    keep_freed_memory()
    torch.set_num_threads(threads or torch.get_num_threads())
    with _checkpoint(model, network) as (name, checkpoint):
        views = Views(snippets=snippets, crops=1)
        predictor = Predictor(checkpoint, device="cpu", views=views)
    announce("machine")
    machine = measure_machine(seconds=seconds)
    stages = measure_stages(
        video,
        network=predictor.network,
        predict=predictor,
        machine=machine,
        snippets=snippets,
        seconds=seconds,
        announce=announce,
    )
    versions = {
        "torch": str(torch.__version__),
        "instructions": torch.backends.cpu.get_cpu_capability(),
    }
    if json:
        document = {
            "video": str(video),
            "model": name,
            "machine": _machine(machine) | versions,
            "stages": [stage.as_json() for stage in stages],
        }
        print(json_module.dumps(document, indent=2))
        return
    print(f"{printable(name)} on {printable(str(video))}")
    print(f"torch {versions['torch']}, {versions['instructions']}, {machine.threads} threads")
    print(f"peak {machine.flops / 1e9:.1f} GFLOP/s, copy {machine.bandwidth / 1e9:.1f} GB/s\n")
    print(_HEADER, flush=True)
    for stage in stages:
        print(_row(stage), flush=True)


_HEADER = (
    "stage       frames     in all    a frame    at best   frames/s      limit  share\n"
    "                           ms         ms         ms              frames/s       "
).rstrip()


def _row(stage: "Stage") -> str:
    timing, frames = stage.timing, stage.frames
    return (
        f"{stage.name:10} {frames:7} {1e3 * timing.median:10.2f} "
        f"{1e3 * timing.median / frames:10.3f} {1e3 * timing.fastest / frames:10.3f} "
        f"{frames / timing.median:10.1f} {frames / stage.limit:10.1f} {stage.share:6.1%}"
    )


def _machine(machine: "Machine") -> dict[str, float | str]:
    return {
        "threads": machine.threads,
        "gflops": machine.flops / 1e9,
        "gigabytes_per_second": machine.bandwidth / 1e9,
    }


def _check(
    model: str | None,
    network: str | None,
    *,
    snippets: int,
    threads: int | None,
    seconds: float,
) -> None:
    if model is not None and network is not None:
        raise UsageError("--model and --network exclude each other; choose one")
    if snippets < 2:
        raise UsageError(f"--snippets must be at least 2, or nothing moves, got {snippets}")
    if threads is not None and threads < 1:
        raise UsageError(f"--threads must be at least 1, got {threads}")
    if not 0 < seconds < float("inf"):
        raise UsageError(f"--seconds must be a number above 0, got {seconds}")


def _bundled_clip() -> Path:
    clips = sorted(Path(str(files("marey") / "clips")).glob("*.avi"))
    if not clips:
        raise UsageError("no clip comes with this installation; name a video to measure with")
    return clips[0]


@contextmanager
def _checkpoint(model: str | None, network: Backbone | None) -> Iterator[tuple[str, str | Path]]:
    """Give a network's name in words, and what `Predictor` knows it by.

    An untrained network becomes a checkpoint that is gone after the block.
    """
    from marey.models import build_model, bundled_models, save_checkpoint

    if model is None and network is None and DEFAULT_MODEL in bundled_models():
        model = DEFAULT_MODEL
    if model is not None:
        yield model, model
        return
    name = f"off_{network or 'bn_inception'}"
    classes = [f"class {number}" for number in range(_CLASSES)]
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"{name}.safetensors"
        save_checkpoint(build_model(name, num_classes=_CLASSES), path, classes=classes)
        yield f"{name}, untrained", path
