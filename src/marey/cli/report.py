"""`marey report`."""

import json as json_module
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from marey.errors import UsageError

from ._printable import printable
from ._progress import progress_bar

if TYPE_CHECKING:
    from marey.models import Network
    from marey.report import FlowAt, Report

_NAMED = 20


def report(
    *scores: Annotated[Path, Parameter(allow_leading_hyphen=False)],
    out: Annotated[Path, Parameter(alias="-o")] = Path("report"),
    index: Path | None = None,
    model: tuple[str, ...] = (),
    flow: Path | None = None,
    on_the_fly: bool = False,
    run: tuple[Path, ...] = (),
    worst: int = 20,
    title: str | None = None,
    bootstrap: int = 1000,
    seed: int = 0,
    json: bool = False,
    quiet: Annotated[bool, Parameter(alias="-q")] = False,
) -> None:
    """Write a page to read, with tables and charts, on one result or several.

    Example: `marey report rgb.npz flow.npz fused.npz --index jhmdb.csv --out report`

    The page, `report.html`, opens offline in any browser. The last file of scores is the result
    that it is about; the others are compared with it. The exit code is 3 if videos were to be
    shown that could not be used; each is named on the page.

    Args:
        scores: What `marey test` or `marey fuse` wrote.
        out: Folder for the page, and for CSV and PNG files beside it.
        index: Index that the scores were made with: pictures of the videos, and which of them
            are clips of one recording.
        model: OFF networks, bundled or checkpoint files: what they see in a few of the videos.
        flow: Folder that `marey flow` wrote: its flow, beside these frames.
        on_the_fly: Flow computed by DIS for these frames alone, which needs OpenCV.
        run: Folders of training runs: their curves.
        worst: How many of the worst videos to show.
        title: Heading of the page; the name of the last file unless given.
        bootstrap: Resamples for the intervals.
        seed: Of the resamples.
        json: Print the figures as JSON.
        quiet: Say nothing but errors.
    """
    looks = {"--model": bool(model), "--flow": flow is not None, "--on-the-fly": on_the_fly}
    _check(scores, out, index=index, looks=looks, worst=worst, bootstrap=bootstrap, seed=seed)

    from marey.allocator import keep_freed_memory
    from marey.report import (
        PAGE,
        Footage,
        build_report,
        load_results,
        load_run,
        write_report,
    )

    keep_freed_memory()
    results = load_results(scores)
    networks = _networks(model)
    flow_at, flow_words = _flow(flow, on_the_fly=on_the_fly)
    runs = [load_run(folder) for folder in run]
    footage = Footage(index, results[-1].scores) if index else None
    with progress_bar(quiet=quiet) as bar:
        task = bar.add_task("looking at videos", total=None)
        done = build_report(
            results,
            footage,
            title=title or results[-1].name,
            worst=worst,
            draws=bootstrap,
            seed=seed,
            networks=networks,
            flow=flow_at,
            flow_words=flow_words,
            runs=runs,
            each=lambda count, total: bar.update(task, completed=count, total=total),
        )
    write_report(done, out)
    if json:
        print(json_module.dumps({"report": str(out / PAGE), **done.summary}, indent=2))
    else:
        print(out / PAGE)
    _tell(done, quiet=quiet)
    if done.problems:
        sys.exit(3)


def _check(
    scores: tuple[Path, ...],
    out: Path,
    *,
    index: Path | None,
    looks: dict[str, bool],
    worst: int,
    bootstrap: int,
    seed: int,
) -> None:
    if not scores:
        raise UsageError("no scores given; make some with: marey test MODEL INDEX")
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file; --out takes a folder")
    for option, asked in looks.items():
        if asked and index is None:
            raise UsageError(f"{option} looks at videos; say where they are with --index")
    if looks["--flow"] and looks["--on-the-fly"]:
        raise UsageError("--flow and --on-the-fly exclude each other; choose one")
    if worst < 0:
        raise UsageError(f"--worst must be at least 0, got {worst}")
    if bootstrap < 40:
        raise UsageError(
            f"--bootstrap must be at least 40, of which 2.5 % is one resample, got {bootstrap}"
        )
    if seed < 0:
        raise UsageError(f"--seed must be at least 0, got {seed}")


def _networks(names: tuple[str, ...]) -> dict[str, "Network"]:
    from marey.models import for_inference, load_named
    from marey.report import require_off

    networks: dict[str, Network] = {}
    for name in names:
        network = load_named(name)
        require_off(name, network)
        networks[name] = for_inference(network)
    return networks


def _flow(folder: Path | None, *, on_the_fly: bool) -> "tuple[FlowAt | None, str]":
    """Return what gives flow, and what to say of it."""
    from marey.report import computed_flow, stored_flow

    colours = "the hue tells where things move, its fullness how far."
    if folder is not None:
        return stored_flow(folder), f"Flow as stored in {folder.name}: {colours}"
    if not on_the_fly:
        return None, ""
    try:
        return computed_flow(), f"Flow by DIS, from each frame to the next of its video: {colours}"
    except UsageError as error:
        return None, f"Flow is not shown: {error}."


def _tell(done: "Report", *, quiet: bool) -> None:
    for path, reason in list(done.problems.items())[:_NAMED]:
        print(printable(f"marey: {path}: {reason}"), file=sys.stderr)
    more = len(done.problems) - _NAMED
    if more > 0:
        print(f"marey: and {more} more, all named on the page", file=sys.stderr)
    if not quiet:
        result = done.summary["result"]
        ends = result["top1_interval"]
        interval = f" (95 %: {ends[0]:.1%} to {ends[1]:.1%})" if ends else ""
        print(f"{result['top1']:.1%}{interval} of {result['videos']} videos", file=sys.stderr)
