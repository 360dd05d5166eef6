"""What a video of ten seconds costs one core: decoding, flow, an answer, a step of training.

    python benchmarks/costs.py jhmdb-split1.csv

The film is made of clips of the index at 340 x 256 pixels, as Kinetics-700 is often kept. The
seconds are those of the processor, so that other work on the computer hardly changes them.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from marey.backends import runner_of
from marey.evaluation import Views, score_snippets, snippets_of
from marey.extraction import Extraction, extract
from marey.flow import ComputedFlow, flow_estimator, making_of
from marey.index import Entry, Index, read_index
from marey.models import build_model, load_named
from marey.video import check_video, open_video, write_video

SECONDS, FPS = 10, 25
HEIGHT, WIDTH = 256, 340
MODEL = "off-lite0-jhmdb"
FRAMES_OF_TVL1 = 40
VIDEOS = 650_000
EPOCHS = 50
CORE_HOUR_DOLLARS = 0.04
GIGABYTE_MONTH_DOLLARS = 0.023


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("index", type=Path)
    parser.add_argument("--save", type=Path, help="the figures as JSON")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        film = Path(folder) / "film.mp4"
        make_film(read_index(arguments.index), film)
        rows = {"video": {"bytes": film.stat().st_size}, "decode": decode_all(film)}
        rows |= {"flow, DIS": flow(film, "dis"), "flow, TV-L1": tvl1(film)}
        rows |= {"predict, 25 x 1": look(film, crops=1), "test, 25 x 10": look(film, crops=10)}
        rows["train, a step"] = training_step(film)
    for name, row in rows.items():
        seconds = f"{row['seconds']:8.3f} s" if "seconds" in row else " " * 10
        size = f"{row['bytes'] / 1e6:8.2f} MB" if "bytes" in row else ""
        print(f"{name:16} {seconds} {size}")
    print("\n".join(plan(rows)))
    if arguments.save:
        arguments.save.write_text(json.dumps(rows, indent=2) + "\n")


def plan(rows: dict[str, dict[str, float]]) -> list[str]:
    """Return the lines of a table of what all videos take."""
    lines = [
        f"{VIDEOS:,} videos, {EPOCHS} epochs of training; {CORE_HOUR_DOLLARS} $ a core and hour, "
        f"{GIGABYTE_MONTH_DOLLARS} $ a gigabyte and month",
        f"{'hours of':16} {'1 core':>9} {'8':>8} {'64':>8} {'$':>8} {'GB':>7} {'$/month':>8}",
    ]
    for name, row in rows.items():
        times = EPOCHS if name.startswith("train") else 1
        hours = VIDEOS * times * row.get("seconds", 0.0) / 3600
        gigabytes = VIDEOS * row.get("bytes", 0.0) / 1e9
        lines.append(
            f"{name:16} {hours:9.0f} {hours / 8:8.1f} {hours / 64:8.1f} "
            f"{hours * CORE_HOUR_DOLLARS:8.0f} {gigabytes:7.0f} "
            f"{gigabytes * GIGABYTE_MONTH_DOLLARS:8.2f}"
        )
    return lines


def make_film(index: Index, film: Path) -> None:
    """Write ten seconds of clips of the index, one after the other."""
    frames: list[np.ndarray] = []
    for entry in index.entries[:: max(len(index.entries) // 20, 1)]:
        with open_video(index.file(entry)) as video:
            clip = torch.from_numpy(video.frames_at(range(len(video)))).permute(0, 3, 1, 2)
        scaled = torch.nn.functional.interpolate(
            clip.float(), (HEIGHT, WIDTH), mode="bilinear", antialias=True
        )
        frames.append(scaled.round().byte().permute(0, 2, 3, 1).numpy())
        if sum(map(len, frames)) >= SECONDS * FPS:
            break
    write_video(film, np.concatenate(frames)[: SECONDS * FPS], fps=float(FPS))


def spent(work: Callable[[], object], *, times: int = 3) -> float:
    """Return the processor's seconds of the quickest run, one before the clock starts."""
    work()
    taken = []
    for _ in range(times):
        start = time.process_time()
        work()
        taken.append(time.process_time() - start)
    return min(taken)


def decode_all(film: Path) -> dict[str, float]:
    """Return what decoding every frame costs."""
    return {"seconds": spent(lambda: check_video(film))}


def tvl1(film: Path) -> dict[str, float]:
    """Return what flow by TV-L1 costs, and its size, by those of the film's beginning."""
    short = film.with_name("short.mp4")
    with open_video(film) as video:
        write_video(short, video.frames_at(range(FRAMES_OF_TVL1)), fps=float(FPS))
    beginning = flow(short, "tvl1")
    share = (SECONDS * FPS - 1) / (FRAMES_OF_TVL1 - 1)
    return {name: value * share for name, value in beginning.items()}


def flow(film: Path, method: str) -> dict[str, float]:
    """Return what flow costs, and its size."""
    making = making_of(method)
    estimator = flow_estimator(method, threads=1)

    def work() -> None:
        with ComputedFlow(open_video(film), estimator, making) as computed:
            for _ in computed.in_order(range(len(computed))):
                pass

    with tempfile.TemporaryDirectory() as folder:
        index = Index(film.parent, (Entry(film.name, "any"),), ("any",))
        kept = extract(index, Extraction(method=method), Path(folder) / "flow", workers=1)
    return {"seconds": spent(work, times=1), "bytes": kept[0].bytes}


def look(film: Path, *, crops: int) -> dict[str, float]:
    """Return what an answer of the bundled network costs, opening the film included."""
    runner = runner_of(load_named(MODEL), backend="torch", device="cpu")
    views = Views(crops=10 if crops == 10 else 1)

    def work() -> None:
        with open_video(film) as video:
            snippets = snippets_of(
                video, views=views, preprocessing=runner.preprocessing, modality="rgb"
            )
        score_snippets(runner, snippets, views=views)

    return {"seconds": spent(work, times=1)}


def training_step(film: Path) -> dict[str, float]:
    """Return what three snippets of TSN cost, there and back, with their share of decoding."""
    network = build_model("tsn_efficientnet_lite0", num_classes=700).train()
    views = Views(snippets=3, crops=1)

    def work() -> None:
        with open_video(film) as video:
            snippets = snippets_of(
                video, views=views, preprocessing=network.preprocessing, modality="rgb"
            )
        clips = snippets[None, :, :, :224, :224].float() / 255
        torch.stack([logits.mean() for logits in network(clips).values()]).sum().backward()

    return {"seconds": spent(work)}


if __name__ == "__main__":
    main()
