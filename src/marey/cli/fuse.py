"""`marey fuse`."""

import json as json_module
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from marey.errors import UsageError

from ._printable import printable

if TYPE_CHECKING:
    from marey.evaluation import Joined, Metrics, ScoreFile, Scores, Weighing


def fuse(
    *scores: Annotated[str, Parameter(allow_leading_hyphen=False)],
    weights: Annotated[tuple[str, ...], Parameter(show_default=False)] = (),
    held_out: Annotated[tuple[str, ...], Parameter(show_default=False)] = (),
    on_test: bool = False,
    video_list: Annotated[Path | None, Parameter(name="--list")] = None,
    split: str = "test",
    over_crops: Literal["max", "mean"] = "max",
    out: Annotated[Path | None, Parameter(alias="-o")] = None,
    json: bool = False,
    quiet: Annotated[bool, Parameter(alias="-q")] = False,
) -> None:
    """Join the scores of several networks by video, sum them, and measure accuracy.

    Example: `marey fuse off-rgb.npz tsn-flow.npz --weights own --out fused.npz`

    A stream is a head of a file. Files that differ in videos, labels, classes, split or views
    are refused, and the first differences shown. Nothing is written without --out.

    Args:
        scores: Files that `marey test` wrote, or FILE:head,head for some heads of one. Also
            files of the PyTorch OFF port (scores1, scores2, scores3 are read as off7, tsn,
            off14) and any .npz or .npy of arrays [videos, classes] or [videos, crops, classes],
            with `label` and `video` or with --list.
        weights: equal (the plain sum; so it is unless given), own (each file's own weights of
            its heads), or a number for each stream, in the order printed.
        held_out: The same networks' scores of held-out training videos (`marey test MODEL INDEX
            --split val`); weights are found on these.
        on_test: Allow weights found on test videos, on those judged if --held-out is not given.
            The accuracy is then optimistic, and the output says so.
        video_list: Index whose rows of the split, in order, are those of files that do not name
            their videos; such held-out files follow its rows of the split val.
        split: Rows of --list that the files hold.
        over_crops: How crops' scores become one in files that have them all.
        out: Scores to write, with one head, `fused`.
        json: Print one JSON document.
        quiet: Print no remarks.
    """
    if not scores:
        raise UsageError(
            "no scores given; name the files first and options after them, "
            "and make files with: marey test MODEL INDEX"
        )
    if weights and (held_out or on_test):
        raise UsageError("--weights says what --held-out and --on-test would find; choose one")
    words = [*scores, *held_out]
    if out is not None:
        _require_new(out, [*words, *([str(video_list)] if video_list else [])])

    from marey.evaluation import fuse_streams, join, save_scores

    rows = _listed(video_list, split) if video_list else None
    files = _read(scores, rows, over_crops)
    joined = join(files, listed=rows)
    held = _read(
        held_out, _listed(video_list, "val") if held_out and video_list else None, over_crops
    )
    weighing = _weigh(joined, files, weights, held, on_test=on_test)
    fused = fuse_streams(joined, weighing)
    if out is not None:
        save_scores(fused, out)
    document = _document(joined, fused, weighing)
    if json:
        print(json_module.dumps(document | {"out": str(out) if out else None}, indent=2))
    else:
        _show(document)
    if not quiet:
        for remark in document["remarks"]:
            print(printable(f"marey: {remark}"), file=sys.stderr)
        if out is not None:
            print(printable(f"fused scores in {out}"), file=sys.stderr)


def _require_new(out: Path, inputs: Sequence[str]) -> None:
    """Refuse to write over what is read."""
    for word in inputs:
        names = (word, word.rpartition(":")[0])
        if any(name and Path(name).resolve() == out.resolve() for name in names):
            raise UsageError(f"--out {out} is one of the files to read; choose another name")


def _listed(path: Path, split: str) -> "ScoreFile | None":
    """Return the videos of a split of an index, or nothing where val has none."""
    from marey.evaluation import score_file_of_index
    from marey.index import read_index

    index = read_index(path)
    if split == "val" and "val" not in index.splits:
        return None
    return score_file_of_index(path, index, split=split)


def _read(
    words: Sequence[str], listed: "ScoreFile | None", over_crops: Literal["max", "mean"]
) -> "list[ScoreFile]":
    from marey.evaluation import read_score_file

    return [read_score_file(word, over_crops=over_crops, listed=listed) for word in words]


def _weigh(
    joined: "Joined",
    files: "Sequence[ScoreFile]",
    weights: Sequence[str],
    held_out: "Sequence[ScoreFile]",
    *,
    on_test: bool,
) -> "Weighing":
    """Return the weights in the way that the options ask for."""
    from marey.evaluation import (
        equal_weights,
        given_weights,
        held_out_weights,
        own_weights,
        weights_on_test,
    )

    if held_out:
        return held_out_weights(joined, files, held_out, on_test=on_test)
    if on_test:
        return weights_on_test(joined)
    if tuple(weights) in ((), ("equal",)):
        return equal_weights(joined)
    if tuple(weights) == ("own",):
        return own_weights(files)
    try:
        return given_weights(joined, [float(weight) for weight in weights])
    except ValueError as error:
        if isinstance(error, UsageError):
            raise
        raise UsageError(
            f"--weights takes equal, own, or a number for each stream, got {' '.join(weights)}; "
            "name the files before it"
        ) from error


def _document(joined: "Joined", fused: "Scores", weighing: "Weighing") -> dict[str, Any]:
    """Return all there is to say, as plain values."""
    from marey.evaluation import measure, spread_remark

    remarks = [*joined.remarks]
    if weighing.found == "equal" and (remark := spread_remark(joined)):
        remarks.append(remark)
    return {
        "videos": len(fused.videos),
        "classes": len(fused.classes),
        **fused.meta,
        "streams": [
            {**row, **_figures(measure(stream.scores, fused.labels))}
            for row, stream in zip(fused.meta["streams"], joined.streams, strict=True)
        ],
        "fused": _figures(measure(fused.heads["fused"], fused.labels)),
        "remarks": remarks,
    }


def _figures(metrics: "Metrics") -> dict[str, float]:
    return {name: value for name, value in asdict(metrics).items() if name != "videos"}


def _show(document: dict[str, Any]) -> None:
    """Print a line for each stream, one for all together, and where the weights come from."""
    names = [printable(row["name"]) for row in document["streams"]]
    width = max(map(len, ["stream", *names]))
    print(f"{'stream':{width}}    weight     top-1     top-5  mean of classes")
    rows = zip(names, document["streams"], strict=True)
    for name, weight, row in (
        *((name, f"{row['weight']:.4g}", row) for name, row in rows),
        ("fused", "", document["fused"]),
    ):
        shares = f"{row['top1']:9.2%} {row['top5']:9.2%} {row['mean_class']:16.2%}"
        print(f"{name:{width}} {weight:>9} {shares}")
    print(printable(f"{document['videos']} videos; {document['weights_note']}"))
