"""`marey check`."""

import json as json_module
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from marey.errors import UsageError

from ._cluster import joined
from ._printable import printable
from ._progress import progress_bar


def check(
    index: Path,
    /,
    *,
    json: bool = False,
    jsonl: bool = False,
    workers: int | None = None,
    cluster: str | None = None,
    fetch: tuple[str, ...] = (),
    quiet: Annotated[bool, Parameter(alias="-q")] = False,
) -> None:
    """Decode every video of an index and report on each.

    Example: `marey check jhmdb-split1.csv`

    A video is `ok`, `damaged` (some of its frames can be used) or `unusable`; those that are
    not ok are named with the reason. So are videos that are the same to the byte in two
    splits. The exit code is 3 if there is anything to name.

    Args:
        index: Index of videos, as `marey prepare` writes it.
        json: Print one JSON document, with every video in it.
        jsonl: Print one JSON object a line for every video, as soon as it is decoded.
        workers: How many processes decode; otherwise one for each processor core.
        cluster: Decode on a cluster of Ray: HOST:PORT, auto, or local for one on this computer.
        fetch: Protocol of addresses, such as s3, of which a cluster may fetch videos.
        quiet: Show no progress and no summary.
    """
    from marey.index import check_index, read_index, same_videos

    if json and jsonl:
        raise UsageError("--json and --jsonl exclude each other; choose one")
    videos = read_index(index)
    reports: list[dict[str, object]] = []
    counted: Counter[str] = Counter()
    with joined(cluster, fetch=fetch, workers=workers if cluster else None) as others:
        here = None if others else workers
        with progress_bar(quiet=quiet) as bar:
            task = bar.add_task("checking", total=len({entry.path for entry in videos.entries}))
            for report in check_index(videos, workers=here, cluster=others, fetch=fetch):
                counted[report.status] += 1
                row = asdict(report)
                bar.advance(task)
                if jsonl:
                    print(json_module.dumps(row), flush=True)
                elif json:
                    reports.append(row)
                elif report.status != "ok":
                    line = f"{report.status}  {report.video}: {report.reason}"
                    print(printable(line), flush=True)
    same = [
        [{"video": entry.path, "split": entry.split} for entry in pair]
        for pair in same_videos(videos)
    ]
    counts = {status: counted[status] for status in ("ok", "damaged", "unusable")}
    if json:
        document = {"index": str(index), **counts, "videos": reports, "same": same}
        print(json_module.dumps(document, indent=2))
    else:
        for line in _closing_lines(counts, same, quiet=quiet):
            print(line, file=sys.stderr if jsonl else sys.stdout)
    if same or counts["ok"] < counted.total():
        raise SystemExit(3)


def _closing_lines(
    counts: dict[str, int], same: Sequence[Sequence[dict[str, str | None]]], *, quiet: bool
) -> Iterator[str]:
    """Yield which videos are the same in two splits, and how many have each status."""
    for pair in same:
        names = ", ".join(f"{video['video']} ({video['split']})" for video in pair)
        yield printable(f"same video  {names}")
    if not quiet:
        numbers = ", ".join(f"{count} {status}" for status, count in counts.items())
        yield f"{sum(counts.values())} videos: {numbers}"
