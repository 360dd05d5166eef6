"""From two classes of 20 clips to a network and its report, as `marey train FOLDER` does it.

    python benchmarks/own_clips.py jhmdb-split1.csv
    python benchmarks/own_clips.py jhmdb-split1.csv --pairs run,walk --clips 10

The clips are training videos of the index, whole recordings one after the other in an order drawn
by their names' hashes, copied into class folders. The time is that of the whole command, decoding
and the report included; the accuracy is what it prints, of clips held out in turn.
"""

import argparse
import shutil
import subprocess
import sys
import time
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

from marey.index import Entry, read_index

PAIRS = ["golf,pullup", "sit,stand", "throw,swing_baseball"]


def order(entry: Entry) -> bytes:
    """Return what an entry is sorted by."""
    return sha256((entry.group or entry.path).encode()).digest()


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("index", type=Path)
    parser.add_argument("--pairs", nargs="+", default=PAIRS)
    parser.add_argument("--clips", type=int, default=20, help="of each class (20)")
    arguments = parser.parse_args()
    index = read_index(arguments.index)
    for pair in arguments.pairs:
        with TemporaryDirectory() as name:
            clips, out = Path(name) / "clips", Path(name) / "model"
            for label in pair.split(","):
                learnt = (e for e in index.entries if e.label == label and e.split == "train")
                chosen = sorted(learnt, key=order)[: arguments.clips]
                if not chosen:
                    sys.exit(f"{arguments.index} has no training videos of {label!r}")
                (clips / label).mkdir(parents=True)
                for entry in chosen:
                    shutil.copy(index.file(entry), clips / label)
            command = [sys.executable, "-m", "marey", "train", str(clips), "--out", str(out)]
            begin = time.perf_counter()
            done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
            seconds = time.perf_counter() - begin
            if done.returncode != 0:
                sys.exit(done.stderr)
            print(f"{pair}: {seconds:.0f} s; {done.stdout.splitlines()[0]}", flush=True)


if __name__ == "__main__":
    main()
