"""`marey flow`."""

import json as json_module
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from ._cluster import joined, require_cpu
from ._progress import progress_bar
from ._unusable import Told

if TYPE_CHECKING:
    from marey.extraction import Extracted


def flow(
    index: Path,
    /,
    *,
    out: Annotated[Path | None, Parameter(alias="-o")] = None,
    method: Literal["tvl1", "tvl1-opencv", "dis", "farneback", "raft"] = "tvl1",
    for_: Annotated[Literal["all", "test"], Parameter(name="--for")] = "all",
    format: Literal["video", "tsn"] = "video",  # noqa: A002 - named as users know it
    weights: Path | None = None,
    workers: int | None = None,
    device: str = "auto",
    cluster: str | None = None,
    fetch: tuple[str, ...] = (),
    json: bool = False,
    quiet: Annotated[bool, Parameter(alias="-q")] = False,
) -> None:
    """Compute the optical flow of the videos of an index.

    Example: `marey flow jhmdb-split1.csv --method dis --out flow/dis`

    Flow is computed at 340 x 256 pixels and kept in 8 bits, up to 20 pixels: one lossless file
    for each video. Stopped at any moment, the same command goes on from there, and does no
    video twice. Videos that are damaged or unusable are named, and the exit code is 3 if there
    are unusable ones.

    Args:
        index: Index of videos, as `marey prepare` writes it.
        out: Folder for the flow, one for each method; flow/METHOD right here unless given.
        method: tvl1 (ours), tvl1-opencv, dis (the quickest), farneback, or raft.
        for_: All pairs of frames, or only those that `marey test` reads.
        format: One video for each video, or folders of flow_x_00001.jpg as TSN's tools make.
        weights: File of RAFT-small's weights.
        workers: Processes; one for each core unless given.
        device: auto, cpu or cuda; tvl1 and raft run on a GPU too.
        cluster: Compute on a cluster of Ray, whose computers all have the folder: HOST:PORT, auto,
            or local for one on this computer.
        fetch: Protocol of addresses, such as s3, of which a cluster may fetch videos.
        json: Print one JSON document, with every video in it.
        quiet: Show no progress and no summary.
    """
    from marey.extraction import LEDGER, Extraction, extract, summary
    from marey.flow import flow_estimator
    from marey.index import read_index, require_any_there
    from marey.models import choose_device

    videos = read_index(index)
    if cluster is None:
        require_any_there(videos)
    out = out or Path("flow") / method
    device = str(choose_device(require_cpu(cluster, device)))
    flow_estimator(method, weights=weights, device=device)  # What it lacks is said at once.
    extraction = Extraction(method=method, weights=weights, device=device, pairs=for_, form=format)
    start = time.monotonic()
    told = Told()
    computed = written = 0
    with (
        joined(cluster, fetch=fetch, workers=workers if cluster else None) as others,
        progress_bar(quiet=quiet) as bar,
    ):
        task = bar.add_task("flow", total=len({entry.path for entry in videos.entries}))

        def each(done: "Extracted", kept: bool) -> None:
            nonlocal computed, written
            written += done.bytes
            computed += 0 if kept else done.pairs
            rate = computed / (time.monotonic() - start)
            bar.update(
                task, advance=1, description=f"flow, {rate:.0f} pairs/s, {written / 1e6:.0f} MB"
            )
            if done.status != "ok" and not json:
                told.tell(done.status, done.video, done.reason)

        results = extract(
            videos,
            extraction,
            out,
            workers=None if others else workers,
            each=each,
            cluster=others,
            fetch=fetch,
        )
    told.tell_rest(str(out / LEDGER))
    seconds = time.monotonic() - start
    document = {"flow": str(out), "method": method, **summary(results)}
    if json:
        document |= {"results": [asdict(row) for row in results]}
        print(json_module.dumps(document, indent=2))
    else:
        print(out)
    if not quiet and not json:
        print(
            f"{document['videos']} videos: {document['ok']} ok, {document['damaged']} damaged, "
            f"{document['unusable']} unusable; {document['pairs']} pairs in "
            f"{document['bytes'] / 1e6:.1f} MB; {computed} pairs computed in {seconds:.1f} s, "
            f"{computed / seconds:.1f} a second",
            file=sys.stderr,
        )
    if document["unusable"]:
        sys.exit(3)
