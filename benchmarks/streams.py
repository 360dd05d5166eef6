"""All streams on J-HMDB, alone and together: two tables of the README with one command.

    python benchmarks/streams.py ROOT --split 1 --seed 0 --out runs

ROOT is the data set, with `videos` and `splits` in it. RGB is the bundled network, which
`benchmarks/jhmdb.py` trained; RGB difference, and flow by TV-L1 and by DIS, are trained here, TSN
first and OFF on top. Epochs, weights of heads and weights of streams are chosen on held-out
training videos; test videos are looked at once, in 25 x 10 views. It takes some three hours on two
cores; stopped at any moment, the same command goes on from there.
"""

import argparse
import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

FLOWS = ("tvl1", "dis")
# What is added up, by streams and their heads.
FUSIONS = {
    "TSN RGB + TSN flow (TV-L1)": ["rgb:tsn", "tvl1:tsn"],
    "TSN RGB + TSN flow (DIS)": ["rgb:tsn", "dis:tsn"],
    "OFF RGB + OFF difference": ["rgb", "diff"],
    "OFF RGB + OFF flow (TV-L1)": ["rgb", "tvl1"],
    "OFF RGB + OFF flow (DIS)": ["rgb", "dis"],
    "OFF RGB + OFF difference + OFF flow (TV-L1)": ["rgb", "diff", "tvl1"],
    "OFF RGB + OFF difference + OFF flow (DIS)": ["rgb", "diff", "dis"],
}


def main() -> None:
    """Compute flow, train, test, fuse and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("root", type=Path)
    parser.add_argument("--split", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs"))
    parser.add_argument("--at-once", type=int, default=2, help="streams at a time, a thread each")
    arguments = parser.parse_args()
    out: Path = arguments.out
    index = out / f"jhmdb-split{arguments.split}.csv"
    if not index.exists():
        marey("prepare", "jhmdb", arguments.root, "--split", arguments.split, "--out", index)
    for method in FLOWS:
        marey("flow", index, "--method", method, "--out", out / "flow" / method, "--quiet")
    with ThreadPoolExecutor(arguments.at_once) as pool:
        jobs = [pool.submit(scored, out, index, "off-lite0-jhmdb", "rgb", [])]
        jobs += [pool.submit(stream, out, index, name, arguments.seed) for name in ("diff", *FLOWS)]
        for job in jobs:
            job.result()
    print(f"J-HMDB split {arguments.split}, 25 x 10 views, seed {arguments.seed}, top-1, %\n")
    for name in ("rgb", "diff", *FLOWS):
        heads = json.loads((out / f"{name}.json").read_text())["heads"]
        shown = ", ".join(f"{head} {100 * row['top1']:.1f}" for head, row in heads.items())
        print(f"| {name} | {shown} |")
    for name, streams in FUSIONS.items():
        print(f"| {name} | {100 * fused(out, streams):.1f} |")


def stream(out: Path, index: Path, name: str, seed: int) -> None:
    """Train a stream's TSN and its OFF, and score test videos and held-out ones."""
    kind = "diff" if name == "diff" else "flow"
    where = [] if name == "diff" else ["--flow", out / "flow" / name]
    tsn, off = out / f"{name}-tsn-{seed}", out / f"{name}-off-{seed}"
    common = [*where, "--seed", seed, "--cache", out / "cache", "--quiet"]
    marey("train", index, "--recipe", f"jhmdb-{kind}-tsn-lite0", "--out", tsn, *common)
    start = ["--init", tsn / "model.safetensors"]
    marey("train", index, "--recipe", f"jhmdb-{kind}-off-lite0", *start, "--out", off, *common)
    scored(out, index, str(off / "model.safetensors"), name, where)


def scored(out: Path, index: Path, model: str, name: str, where: list[object]) -> None:
    """Score the test videos and those that training held out."""
    for split, file in (("test", f"{name}.npz"), ("val", f"{name}-held-out.npz")):
        scores = out / file
        if not scores.with_suffix(".json").exists():
            words = ["--out", scores, "--split", split, "--threads", 1, "--quiet", *where]
            marey("test", model, index, *words)


def fused(out: Path, streams: list[str]) -> float:
    """Return the share of test videos recognised, weights found on held-out ones."""

    def files(suffix: str) -> list[str]:
        named = (stream.partition(":") for stream in streams)
        return [f"{out / name}{suffix}.npz{colon}{heads}" for name, colon, heads in named]

    words = ["fuse", *files(""), "--held-out", *files("-held-out"), "--json"]
    document = json.loads(marey(*words))
    return float(document["fused"]["top1"])


def marey(*words: object) -> str:
    """Run a command of marey's, its messages on stderr, and return what it prints."""
    start = time.monotonic()
    command = [sys.executable, "-m", "marey", *map(str, words)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)  # noqa: S603
    print(f"{time.monotonic() - start:7.0f} s  marey {' '.join(map(str, words))}", file=sys.stderr)
    return done.stdout


if __name__ == "__main__":
    main()
