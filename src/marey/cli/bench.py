"""`marey bench`."""

import json as json_module
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from marey.errors import UsageError

from ._progress import announcer
from ._tables import show_gains, show_stages
from .predict import DEFAULT_MODEL

Backbone = Literal["bn_inception", "efficientnet_lite0"]
Backend = Literal["torch", "onnx", "openvino", "openvino-bf16"]

_CLASSES = 101
_PACKAGES = {
    "torch": "torch",
    "onnx": "onnxruntime",
    "openvino": "openvino",
    "openvino-bf16": "openvino",
}


def bench(
    video: Path | None = None,
    /,
    *,
    model: Annotated[str | None, Parameter(alias="-m")] = None,
    network: Backbone | None = None,
    backend: Backend | None = None,
    compare: bool = False,
    snippets: int = 25,
    threads: int | None = None,
    seconds: float = 2.0,
    json: bool = False,
    quiet: Annotated[bool, Parameter(alias="-q")] = False,
) -> None:
    """Measure how fast each stage of a prediction is, beside this machine's limit.

    Example: `marey bench clip.mp4 --network bn_inception`

    The limit follows from the processor's peak (operations a second in the fastest of several
    products of matrices and convolutions) and the memory's bandwidth (bytes a second in a copy),
    both measured before and after. The column GEMM says how fast a network multiplies, beside a
    plain product of matrices. Times are medians of at least three repetitions. Measure on a
    machine that does nothing else.

    With --compare, what is measured is how many times as fast this is as the original code's way,
    turn by turn on the same clip, with the same weights and threads. There, Pillow reads one JPEG
    a frame, crops and mirrors frame by frame, and PyTorch runs the network eagerly, channel by
    channel, its batch normalization apart, one crop of all frames at once. To make the JPEGs (340
    x 256 pixels, quality 95) is work of the original's, too, but it is done before and not
    counted. Here, the video file itself is decoded, and --backend runs the network. First, both
    must answer alike to the same input; what is then timed sees frames that differ by what JPEG
    and that size do to them. In a stream, the original's network sees the whole window again with
    each new frame; here, it sees the new frame alone, and one pair, which PyTorch runs. `newest
    only` is the least that an original could do there: a forward of the newest pair's two frames.

    Args:
        video: What to decode and predict; the first bundled clip unless given.
        model: A bundled network (see `marey models`) or a checkpoint file.
        network: Or the OFF network on this backbone, untrained, which is as fast as trained;
            bn_inception with --compare unless given.
        backend: What runs the network: torch, onnx, openvino, or openvino-bf16 with 16-bit
            floats on processors for them; openvino where it is installed, else torch, unless
            given.
        compare: Compare with the way of the original code.
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
    from marey.backends import usual_backend
    from marey.video import open_video

    keep_freed_memory()
    torch.set_num_threads(threads or torch.get_num_threads())
    backend = backend or usual_backend("cpu")
    if compare and model is None:
        network = network or "bn_inception"
    with _checkpoint(model, network) as (name, checkpoint):
        with open_video(video):
            pass  # Whatever is wrong with the video is known before.
        measured = _gains if compare else _stages
        document = {
            "video": str(video),
            "model": name,
            "backend": backend,
            "backend_version": version(_PACKAGES[backend]),
            **measured(
                video,
                checkpoint,
                backend,
                snippets=snippets,
                seconds=seconds,
                announce=announcer(quiet=quiet),
            ),
        }
    if json:
        print(json_module.dumps(document, indent=2))
    else:
        (show_gains if compare else show_stages)(document)
    fast = [row["stage"] for row in document.get("stages", []) if row["share_of_limit"] > 1]
    if fast:
        print(
            f"marey: faster than the limit: {', '.join(fast)}; the machine was busy while its "
            "peak was measured; measure again",
            file=sys.stderr,
        )


def _stages(
    video: Path,
    checkpoint: str | Path,
    backend: Backend,
    *,
    snippets: int,
    seconds: float,
    announce: Callable[[str], None],
) -> dict[str, Any]:
    """Measure the stages and return them for a file."""
    from marey.backends import runner_of
    from marey.bench import measure_machine, measure_stages
    from marey.evaluation import Views
    from marey.models import OFF, load_named
    from marey.predictor import Predictor

    def measuring(what: str) -> None:
        announce(f"measuring {what}")

    views = Views(snippets=snippets, crops=1)
    network = load_named(checkpoint)
    predictor = Predictor(checkpoint, device="cpu", backend=backend, views=views, announce=announce)
    backbone = predictor.runner
    if isinstance(network, OFF):
        backbone = runner_of(network.tsn, backend=backend, device="cpu", announce=announce)
    measuring("machine")
    machine = measure_machine(seconds=seconds)
    stages = list(
        measure_stages(
            video,
            network=network,
            backbone=backbone,
            whole=predictor.runner,
            predict=predictor,
            snippets=snippets,
            seconds=seconds,
            announce=measuring,
        )
    )
    # A limit is what nothing exceeds, and the machine may have been busy the first time.
    measuring("machine")
    machine = machine.or_better(measure_machine(seconds=seconds))
    return {
        "machine": _torch_here() | machine.as_json(),
        "stages": [stage.as_json(machine) for stage in stages],
    }


def _gains(
    video: Path,
    checkpoint: str | Path,
    backend: Backend,
    *,
    snippets: int,
    seconds: float,
    announce: Callable[[str], None],
) -> dict[str, Any]:
    """Measure how much is gained over the originals' way and return it for a file."""
    from marey.backends import runner_of
    from marey.bench import Comparison
    from marey.models import load_named

    network = load_named(checkpoint)
    with TemporaryDirectory() as folder:
        comparison = Comparison(
            video,
            network=network,
            runner=runner_of(network, backend=backend, device="cpu", announce=announce),
            snippets=snippets,
            folder=Path(folder),
        )
        gains = comparison.gains(
            seconds=seconds, announce=lambda look: announce(f"measuring {look}")
        )
        return {
            "machine": _torch_here(),
            "difference": comparison.difference,
            "gains": [gain.as_json() for gain in gains],
        }


def _torch_here() -> dict[str, Any]:
    import torch

    return {
        "threads": torch.get_num_threads(),
        "torch": str(torch.__version__),
        "instructions": torch.backends.cpu.get_cpu_capability(),
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

    An untrained network becomes a checkpoint that is gone after the block. It is the same
    each time, so that its graph is made once.
    """
    import torch

    from marey.backends import EXPORTED
    from marey.models import build_model, bundled_models, save_checkpoint

    if model is None and network is None and DEFAULT_MODEL in bundled_models():
        model = DEFAULT_MODEL
    if model is not None and Path(model).suffix in EXPORTED:
        raise UsageError(
            f"bench takes a checkpoint, whose operations it counts, and chooses the runtime by "
            f"--backend; got the exported network {model}"
        )
    if model is not None:
        yield model, model
        return
    name = f"off_{network or 'bn_inception'}"
    classes = [f"class {number}" for number in range(_CLASSES)]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        untrained = build_model(name, num_classes=_CLASSES)
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"{name}.safetensors"
        save_checkpoint(untrained, path, classes=classes)
        yield f"{name}, untrained", path
