"""`marey export`."""

import json as json_module
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from marey.errors import UsageError

from ._inputs import videos_of
from ._printable import printable
from ._progress import announcer, progress_bar

if TYPE_CHECKING:
    from marey.exporting import Exported
    from marey.models import Network

_SUFFIXES = {"onnx": ".onnx", "openvino": ".xml"}


def export(
    model: str,
    /,
    *,
    out: Annotated[Path | None, Parameter(alias="-o")] = None,
    form: Annotated[Literal["onnx", "openvino"] | None, Parameter(name="format")] = None,
    videos: tuple[str, ...] = (),
    int8: bool = False,
    index: Path | None = None,
    split: str = "test",
    calibrate: int = 30,
    threads: int | None = None,
    json: bool = False,
    quiet: Annotated[bool, Parameter(alias="-q")] = False,
) -> None:
    """Write a network as an ONNX file, or as OpenVINO's, for other programs.

    Example: `marey export off-lite0-jhmdb --out off.onnx`

    The network takes normalised clips [videos, snippets, channels, rows, columns] and returns the
    logits of each head; the numbers of videos and of snippets are open. Differences between
    snippets are taken inside. Classes, preprocessing, modality, the distance of snippets, the
    weights of the heads and the hash of the network's weights are in the file's metadata.

    Before the file gets its name, its answers to real videos are compared with PyTorch's: no
    probability may differ by more than 0.0001. With --int8 they may, but it may know at most one
    in a hundred of the index's videos fewer.

    Args:
        model: A bundled network (see `marey models`) or a checkpoint file.
        out: File to write: .onnx, or .xml for OpenVINO, which puts a .bin file beside it. By
            default, right here under the name of the network.
        form: onnx or openvino; by the suffix of --out unless given.
        videos: Real videos to check on; the bundled clips unless given.
        int8: Compute with integers of 8 bits, two to three times as fast.
        index: Videos for --int8: those in split train show how large values are.
        split: Its videos on which --int8 measures accuracy, before and after.
        calibrate: Videos of split train that are looked at.
        threads: CPU threads; all cores unless given.
        json: Print what was written as JSON.
        quiet: Show no progress.
    """
    path = _file(model, out, form)
    if int8 and index is None:
        raise UsageError("--int8 needs real videos to learn from and to measure on: --index FILE")
    if index is not None and not int8:
        raise UsageError("--index is for --int8; give videos to check on with --videos")
    if calibrate < 1:
        raise UsageError(f"--calibrate must be at least 1, got {calibrate}")
    checked = [Path(video) for video in videos_of(videos)] if videos else _bundled_clips()

    import torch

    from marey.allocator import keep_freed_memory
    from marey.backends import facts_of
    from marey.exporting import clips_of, export_network
    from marey.models import load_named

    keep_freed_memory()
    torch.set_num_threads(threads or torch.get_num_threads())
    network = load_named(model)
    if int8:
        assert index is not None
        result = _coarse(network, path, index, split=split, calibrate=calibrate, quiet=quiet)
    else:
        announcer(quiet=quiet)(f"checking the answers to {len(checked)} videos before {path}")
        result = export_network(network, path, clips=clips_of(checked, facts_of(network)))
    _show(result, json=json)


def _file(model: str, out: Path | None, form: str | None) -> Path:
    """Return the file to write."""
    if out is None:
        return Path(f"{Path(model).stem}{_SUFFIXES[form or 'onnx']}")
    if out.suffix not in _SUFFIXES.values():
        raise UsageError(f"--out is an .onnx file, or an .xml file for OpenVINO, got {out.name!r}")
    if form is not None and out.suffix != _SUFFIXES[form]:
        raise UsageError(f"--format {form} writes {_SUFFIXES[form]} files, got {out.name!r}")
    return out


def _coarse(
    network: "Network", path: Path, index: Path, *, split: str, calibrate: int, quiet: bool
) -> "Exported":
    """Write a network of 8 bits."""
    from marey.backends import facts_of
    from marey.exporting import Clips, export_int8, source_for
    from marey.index import read_index

    facts = facts_of(network)
    whole = read_index(index, classes=facts.classes)
    learn, measure = (
        Clips(part, facts, source_for(facts)) for part in (whole.only("train"), whole.only(split))
    )
    if split == "train":
        raise UsageError("--split must be other videos than those of train, which are learnt from")
    with progress_bar(quiet=quiet) as bar:
        task = bar.add_task("measuring accuracy", total=len(measure))
        return export_int8(
            network,
            path,
            learn=learn.some(calibrate),
            measure=measure,
            each=lambda: bar.advance(task),
        )


def _bundled_clips() -> list[Path]:
    clips = sorted(Path(str(files("marey") / "clips")).glob("*.avi"))
    if not clips:
        raise UsageError("no clip comes with this installation; name videos with --videos")
    return clips


def _show(result: "Exported", *, json: bool) -> None:
    sizes = {str(file): file.stat().st_size for file in result.files}
    if json:
        measured = result.accuracies
        document = {
            "files": sizes,
            "metadata": result.facts.as_strings(),
            "largest_difference": result.difference,
            "accuracy": measured
            and {
                "videos": measured.videos,
                "before": measured.before,
                "after": measured.after,
                "agreement": measured.agreement,
            },
        }
        print(json_module.dumps(document, indent=2))
        return
    for name, size in sizes.items():
        print(printable(f"{name}  {size / 1e6:.1f} MB"))
    if result.difference is not None:
        print(f"probabilities differ from PyTorch's by {result.difference:.1e} at most")
    if result.accuracies is not None:
        measured = result.accuracies
        print(
            f"accuracy {measured.after:.1%} with 8 bits, {measured.before:.1%} before, of "
            f"{measured.videos} videos; the same answer for {measured.agreement:.1%}"
        )
