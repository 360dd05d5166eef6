"""`marey train` on a folder of clips."""

import json as json_module
import sys
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

from marey.durable import write_text
from marey.settings import Training

from ._printable import printable
from ._progress import progress_bar

if TYPE_CHECKING:
    from marey.training import Clips, Learnt

_NAMED = 20


def train_on_clips(
    folder: Path, settings: Training, out: Path, *, cache: Path | None, json: bool, quiet: bool
) -> None:
    """Train on a folder of class folders, write a report, and print what it came to.

    Exits with 3 if clips could not be used; each is named.
    """
    from marey.training import discard_runs, fit_clips, gather_clips

    with progress_bar(quiet=quiet) as bar:
        task = bar.add_task("checking", total=None)
        clips = gather_clips(
            folder, out, each=lambda done, total: bar.update(task, completed=done, total=total)
        )
        _tell_of(clips, quiet=quiet)
        bar.update(task, visible=False)
        task = bar.add_task("training", total=None)

        def tell(event: str, done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)
            if event != "step" and not quiet:
                print(f"marey: {event}", file=sys.stderr, flush=True)

        learnt = fit_clips(settings, clips, out, tell=tell, cache=cache)
    file = out / "result.json"
    if learnt.runs or not file.exists():
        result = _report(learnt, clips, folder, out)
        write_text(file, json_module.dumps(result, indent=2) + "\n")
    discard_runs(out)
    result = json_module.loads(file.read_text(encoding="utf-8"))
    _show(result, out, json=json, quiet=quiet)
    if clips.unusable:
        sys.exit(3)


def _report(learnt: "Learnt", clips: "Clips", folder: Path, out: Path) -> dict[str, Any]:
    """Write the report and return what is printed."""
    from marey.models import for_inference, load_named
    from marey.report import PAGE, Footage, build_report, load_results, load_run, write_report

    results = load_results([learnt.scores])
    scores = results[0].scores
    # Flow cannot be drawn over plain frames.
    plain = scores.meta["modality"] != "flow"
    networks = {"what it sees": for_inference(load_named(learnt.model))} if plain else {}
    report = build_report(
        results,
        Footage(clips.listed, scores),
        title=folder.resolve().name,
        networks=networks,
        runs=[load_run(run) for run in learnt.runs],
    )
    write_report(report, out / "report")
    main = report.summary["result"]
    return {
        "model": str(learnt.model),
        "report": str(out / "report" / PAGE),
        "accuracy": main["top1"],
        "accuracy_interval": main["top1_interval"],
        "mean_class_accuracy": main["mean_class"],
        "held_out_videos": main["videos"],
        "recordings": report.summary["bootstrap"]["groups"],
        "folds": scores.meta["folds"],
        "passes": scores.meta["passes"],
        "classes": list(scores.classes),
        "unusable": dict(clips.unusable),
    }


def _tell_of(clips: "Clips", *, quiet: bool) -> None:
    """Say what the folder holds, and name what cannot be used."""
    for path, reason in clips.unusable.items():
        print(printable(f"marey: unusable: {path}: {reason}"), file=sys.stderr)
    if quiet:
        return
    for path, reason in clips.damaged.items():
        print(printable(f"marey: damaged: {path}: {reason}"), file=sys.stderr)
    for one, other in clips.same:
        print(printable(f"marey: the same video: {one} and {other}"), file=sys.stderr)
    for path in clips.extra[:_NAMED]:
        print(printable(f"marey: in no class folder, left out: {path}"), file=sys.stderr)
    if len(clips.extra) > _NAMED:
        print(f"marey: and {len(clips.extra) - _NAMED} more", file=sys.stderr)
    videos, classes = len(clips.index.entries), len(clips.index.classes)
    print(f"marey: {videos} clips of {classes} classes", file=sys.stderr)


def _show(result: dict[str, Any], out: Path, *, json: bool, quiet: bool) -> None:
    if json:
        print(json_module.dumps(result, indent=2))
    else:
        interval = result["accuracy_interval"]
        ends = f" (95 %: {interval[0]:.1%} to {interval[1]:.1%})" if interval else ""
        how = f"held out in {result['folds']} parts" if result["folds"] else "of a split apart"
        print(
            f"{result['accuracy']:.1%}{ends} of {result['held_out_videos']} clips {how}, "
            f"from {result['recordings']} recordings"
        )
    if not quiet:
        print(f"report: {result['report']}", file=sys.stderr)
        print(f"next: marey predict new-clip.mp4 --model {quote(str(out))}", file=sys.stderr)
