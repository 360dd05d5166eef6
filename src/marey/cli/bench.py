"""`marey bench`."""

import json as json_module
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from marey.errors import UsageError

from ._printable import printable
from .predict import DEFAULT_MODEL

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
    and the memory's bandwidth (bytes a second in a copy), both measured before and after. Times
    are medians of at least three repetitions. Measure on a machine that does nothing else.

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
    from marey.video import open_video

    def announce(what: str) -> None:
        if not quiet:
            print(f"measuring {what}", file=sys.stderr, flush=True)

    keep_freed_memory()
    torch.set_num_threads(threads or torch.get_num_threads())
    with _checkpoint(model, network) as (name, checkpoint):
        views = Views(snippets=snippets, crops=1)
        predictor = Predictor(checkpoint, device="cpu", backend="torch", views=views)
    with open_video(video):
        announce("machine")  # Whatever is wrong with the video is known before.
    machine = measure_machine(seconds=seconds)
    stages = list(
        measure_stages(
            video,
            network=predictor.network,
            predict=predictor,
            snippets=snippets,
            seconds=seconds,
            announce=announce,
        )
    )
    # A limit is what nothing exceeds, and the machine may have been busy the first time.
    announce("machine")
    machine = machine.or_better(measure_machine(seconds=seconds))
    document = {
        "video": str(video),
        "model": name,
        "machine": machine.as_json()
        | {
            "torch": str(torch.__version__),
            "instructions": torch.backends.cpu.get_cpu_capability(),
        },
        "stages": [stage.as_json(machine) for stage in stages],
    }
    if json:
        print(json_module.dumps(document, indent=2))
    else:
        _show(document)
    if any(stage.share(machine) > 1 for stage in stages):
        print("marey: faster than the limit: the machine was busy; measure again", file=sys.stderr)


def _show(document: dict[str, Any]) -> None:
    here = document["machine"]
    print(printable(f"{document['model']} on {document['video']}"))
    print(f"torch {here['torch']}, {here['instructions']}, threads: {here['threads']}")
    print(f"peak {here['gflops']:.1f} GFLOP/s, copy {here['gigabytes_per_second']:.1f} GB/s\n")
    print(_HEADER)
    for row in document["stages"]:
        frames, fastest = row["frames"], 1e3 * row["fastest_seconds"]
        print(
            f"{row['stage']:10} {frames:7} {1e3 * row['seconds']:10.2f} {row['ms_a_frame']:10.3f} "
            f"{fastest / frames:10.3f} {row['frames_per_second']:10.1f} "
            f"{row['limit_frames_per_second']:10.1f} {row['share_of_limit']:6.1%}"
        )


_HEADER = (
    "stage       frames     in all    a frame    at best   frames/s      limit  share\n"
    "                           ms         ms         ms              frames/s       "
).rstrip()


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
