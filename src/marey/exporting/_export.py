"""From a network to the file of another runtime, which gets its name only once it was checked."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from marey.backends import (
    Backend,
    Facts,
    graph_facts,
    onnx_graph,
    openvino_network,
    read_exported,
    runner_of,
    write_ir,
)
from marey.durable import complete_file
from marey.errors import MareyError
from marey.models import Network, for_inference

from ._accuracy import Accuracies, accuracies
from ._clips import Clips
from ._int8 import int8_graph
from ._parity import MOST_DIFFERENT, largest_difference

if TYPE_CHECKING:
    import onnx

_ONNX = ".onnx"

MOST_LOST = 0.01
"""Share of the videos that a network of 8 bits may know no longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What was written."""

    files: tuple[Path, ...]
    facts: Facts
    difference: float | None = None
    """Largest difference of a probability to PyTorch's; none if accuracy was measured instead."""

    accuracies: Accuracies | None = None


def export_network(model: Network, path: Path, *, clips: Clips) -> Exported:
    """Write a network as `.onnx` or, in two files, as OpenVINO's `.xml` and `.bin`.

    Args:
        model: What to export.
        path: The file; its suffix is the format.
        clips: Real videos to check it on.

    Raises:
        UsageError: The runtime is not installed.
        MareyError: The exported network answers otherwise than PyTorch; nothing was written.
    """
    graph = onnx_graph(model)
    reference = for_inference(model).cpu()

    def check(file: Path) -> Exported:
        exported = read_exported(file, backend=_runtime(file))
        difference = largest_difference(exported, reference, clips, fusion=exported.facts.fusion)
        if not difference <= MOST_DIFFERENT:
            raise MareyError(
                f"a probability of the exported network differs by {difference:.2g} from "
                f"PyTorch's on {len(clips)} videos, and {MOST_DIFFERENT:g} is allowed, so {path} "
                "was not written"
            )
        return Exported(files=(), facts=exported.facts, difference=difference)

    return _write(graph, path, check)


def export_int8(
    model: Network,
    path: Path,
    *,
    learn: Clips,
    measure: Clips,
    each: Callable[[], None] = lambda: None,
) -> Exported:
    """Write a network of 8-bit integers, if it is nearly as accurate.

    Args:
        model: What to export.
        path: The file; its suffix is the format.
        learn: Videos that show how large the maps' values are.
        measure: Other videos, on which accuracy is measured before and after.
        each: Called after each of these.

    Raises:
        UsageError: The runtime is not installed.
        MareyError: The network knows over `MOST_LOST` fewer videos; nothing was written.
    """
    fine = runner_of(model, device="cpu")
    graph = int8_graph(onnx_graph(model), fine, learn)

    def check(file: Path) -> Exported:
        exported = read_exported(file, backend=_runtime(file))
        result = accuracies(fine, exported, measure, each=each)
        if result.lost > MOST_LOST:
            raise MareyError(
                f"with numbers of 8 bits the network knows {result.after:.1%} of {result.videos} "
                f"videos and {result.before:.1%} without; it may lose {MOST_LOST:.0%}, so {path} "
                "was not written"
            )
        return Exported(files=(), facts=exported.facts, accuracies=result)

    return _write(graph, path, check)


def _write(graph: "onnx.ModelProto", path: Path, check: Callable[[Path], Exported]) -> Exported:
    """Write a graph, check what was written, and give it its name."""
    if path.suffix == _ONNX:
        with complete_file(path) as temporary:
            temporary.write_bytes(graph.SerializeToString())
            return replace(check(temporary), files=(path,))
    weights = path.with_suffix(".bin")
    # Of the two files, the one that is opened gets its name last; it knows the other's hash.
    with complete_file(path) as temporary, complete_file(weights) as beside:
        made = temporary.with_suffix(weights.suffix)
        try:
            write_ir(openvino_network(graph), graph_facts(graph), temporary)
            result = check(temporary)
            made.replace(beside)
        finally:
            made.unlink(missing_ok=True)
    return replace(result, files=(path, weights))


def _runtime(file: Path) -> Backend:
    """Return what a file is checked by."""
    if file.suffix == _ONNX and find_spec("onnxruntime"):
        return "onnx"
    return "openvino"
