"""TSN and OFF on J-HMDB with several seeds: the table of the README with one command.

    python benchmarks/jhmdb.py ROOT --split 1 --seeds 0 1 2 --out runs

ROOT is the data set, with `videos` and `splits` in it. Epochs and the weights of the heads are
chosen on held-out training videos; the test videos are looked at once, in 25 x 10 views. Stopped
at any moment, the same command goes on from there.
"""

import argparse
import json
import statistics
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path


def main() -> None:
    """Train, test and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("root", type=Path)
    parser.add_argument("--split", type=int, default=1)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--out", type=Path, default=Path("runs"))
    parser.add_argument("--at-once", type=int, default=2, help="seeds at a time, a thread each")
    arguments = parser.parse_args()

    out: Path = arguments.out
    index = out / f"jhmdb-split{arguments.split}.csv"
    if not index.exists():
        marey("prepare", "jhmdb", arguments.root, "--split", arguments.split, "--out", index)

    def run(seed: int) -> dict[str, dict[str, float]]:
        common = ["--seed", seed, "--cache", out / "cache", "--quiet"]
        tsn, off = out / f"tsn-{seed}", out / f"off-{seed}"
        marey("train", index, "--recipe", "jhmdb-tsn-lite0", "--out", tsn, *common)
        start = ["--init", tsn / "model.safetensors"]
        marey("train", index, "--recipe", "jhmdb-off-lite0", *start, "--out", off, *common)
        scores = out / f"off-{seed}.npz"
        if not scores.with_suffix(".json").exists():
            words = ["--out", scores, "--threads", 1, "--quiet"]
            marey("test", off / "model.safetensors", index, *words)
        heads: dict[str, dict[str, float]] = json.loads(scores.with_suffix(".json").read_text())[
            "heads"
        ]
        return heads

    with ThreadPoolExecutor(arguments.at_once) as pool:
        results = list(pool.map(run, arguments.seeds))
    print(f"J-HMDB split {arguments.split}, RGB, 25 x 10 views, seeds {arguments.seeds}")
    for head in results[0]:
        shares = [100 * result[head]["top1"] for result in results]
        spread = statistics.stdev(shares) if len(shares) > 1 else 0.0
        print(f"{head:6} {statistics.mean(shares):5.1f} ± {spread:.1f} %   {shares}")
    gains = [100 * (result["fused"]["top1"] - result["tsn"]["top1"]) for result in results]
    print(f"fused over TSN: {statistics.mean(gains):+.1f} points   {gains}")


def marey(*words: object) -> None:
    """Run a command of marey's, its messages on stderr."""
    command = [sys.executable, "-m", "marey", *map(str, words)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - our own words


if __name__ == "__main__":
    main()
