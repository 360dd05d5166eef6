"""What a second worker of a cluster gains, and what carrying a task costs.

    python benchmarks/cluster.py jhmdb-split1.csv --videos 24 --save cluster.json

Clusters of Ray on this computer, of one and of two workers of one core each, compute flow and
predict. Each worker has done a video before the clock starts, because starting does not grow with
the videos. Run it where nothing else runs.
"""

import argparse
import hashlib
import json
import os
import tempfile
import time
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path

from marey.backends import facts_of
from marey.cluster import Cluster, Looking, predictions
from marey.extraction import Extraction, extract
from marey.index import Index, read_index
from marey.models import load_named
from marey.video import open_video

EMPTY_TASKS = 2000
PAIRS = 249  # Of ten seconds.
MODEL = "off-lite0-jhmdb"


def main() -> None:
    """Measure and print."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("index", type=Path)
    parser.add_argument("--videos", type=int, default=24, help="evenly spread over the index")
    parser.add_argument("--method", default="tvl1")
    parser.add_argument("--save", type=Path, help="what benchmarks/simulate.py reads")
    arguments = parser.parse_args()

    whole = read_index(arguments.index)
    step = max(len(whole.entries) // arguments.videos, 1)
    index = Index(whole.root, whole.entries[::step][: arguments.videos], whole.classes)
    work = {
        f"flow by {arguments.method}": flow_by(arguments.method),
        f"predict by {MODEL}": predict_by(MODEL),
    }
    # A network sees 25 snippets of any video, and flow has all its pairs.
    longer = PAIRS / (sum(map(frames_of, map(index.file, index.entries))) / len(index.entries) - 1)
    measured: dict[str, dict[str, list[float] | float]] = {name: {} for name in work}
    digests: dict[str, set[str]] = {name: set() for name in work}
    for workers in (1, 2):
        with Cluster("local", workers=workers) as cluster:
            hand_out = empty_tasks(cluster)
            for name, run in work.items():
                run(cluster, Index(index.root, index.entries[: 4 * workers], index.classes), int)
                measured[name]["longer"] = longer if name.startswith("flow") else 1.0
                ticks = [time.perf_counter()]
                tick = partial(_note, ticks)
                digests[name].add(run(cluster, index, tick))
                measured[name]["two" if workers == 2 else "one"] = ticks[-1] - ticks[0]
                measured[name]["hand_out"] = hand_out
                if workers == 1:
                    measured[name]["seconds"] = [b - a for a, b in pairwise(ticks)]
    for name, row in measured.items():
        one, two = row["one"], row["two"]
        assert isinstance(one, float)
        assert isinstance(two, float)
        print(f"{name}, {len(index.entries)} videos: 1 worker {one:.2f} s, 2 workers {two:.2f} s,")
        same = "the same bytes" if len(digests[name]) == 1 else "OTHER BYTES"
        print(f"  {one / two:.2f} times as fast; {same}, {min(digests[name])[:16]}")
    print(f"an empty task takes {1e3 * hand_out:.2f} ms")
    if arguments.save:
        arguments.save.write_text(json.dumps(measured, indent=2) + "\n")


def frames_of(video: Path) -> int:
    """Return how many frames a video has."""
    with open_video(video) as reader:
        return len(reader)


Work = Callable[[Cluster, Index, Callable[[], object]], str]


def _note(ticks: list[float]) -> None:
    ticks.append(time.perf_counter())


def flow_by(method: str) -> Work:
    """Return what computes flow, tells of each video, and returns a hash of all of it."""

    def run(cluster: Cluster, index: Index, tick: Callable[[], object]) -> str:
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "flow"
            extract(
                index,
                Extraction(method=method),
                out,
                cluster=cluster,
                each=lambda row, kept: tick(),
            )
            return digest(out)

    return run


def predict_by(model: str) -> Work:
    """Return what predicts, tells of each video, and returns a hash of all predictions."""
    weights = facts_of(load_named(model)).weights_sha256
    looking = Looking(model=model, weights_sha256=weights, backend="torch")

    def run(cluster: Cluster, index: Index, tick: Callable[[], object]) -> str:
        videos = [str(index.file(entry).absolute()) for entry in index.entries]
        whole = hashlib.sha256()
        for prediction in predictions(cluster, looking, videos):
            whole.update(json.dumps(prediction.as_json()).encode())
            tick()
        return whole.hexdigest()

    return run


def digest(folder: Path) -> str:
    """Return a hash of all files below a folder but the lock."""
    whole = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != "lock":
            whole.update(str(path.relative_to(folder)).encode() + path.read_bytes())
    return whole.hexdigest()


def empty_tasks(cluster: Cluster) -> float:
    """Return the seconds that carrying one task takes, to a worker that does nothing."""
    list(cluster.each(abs, range(100)))
    start = time.perf_counter()
    list(cluster.each(abs, range(EMPTY_TASKS)))
    return (time.perf_counter() - start) / EMPTY_TASKS


if __name__ == "__main__":
    main()
