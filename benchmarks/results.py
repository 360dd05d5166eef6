"""J-HMDB as its authors have it: streams alone and together, three splits, three seeds.

    python benchmarks/results.py ROOT --out runs/results

ROOT is the data set, with `videos` and `splits` in it. A cell is one stream, split and seed: TSN,
OFF on top of it, and the scores of test videos and of held-out training videos, which are kept in
`benchmarks/results`. A cell's name holds a hash of its recipe, its videos and its seed, so what
changes is trained anew and what does not is kept. Stopped at any moment, the same command goes on
from there; with `--print` it only shows the rows whose cells are done.

Networks learn as `marey train FOLDER` has them learn: each quarter of the training videos is held
out in turn, which chooses passes and weights, and then all are learnt from. Of several streams,
what their heads said of training videos while these were held out gives every head its weight. Test
videos are looked at once, in 25 x 10 views.

Networks of one split whose backbone is the same, because it stayed as it was, look at the test
videos together: their classifiers lie side by side in one, which answers as each alone does.
"""

import argparse
import copy
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from cells import STREAMS, Cell, answers, cell, index_of, of, plain, recipe, row
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import nn

from marey.backends import runner_of
from marey.data import flow_source
from marey.evaluation import (
    Scores,
    Views,
    discard,
    load_scores,
    save_scores,
    score_index,
)
from marey.index import Index, read_index, write_index
from marey.models import OFF, load_model
from marey.nn import OrderedBranch
from marey.settings import Optimisation, Training
from marey.training import Clips, Learnt, fit_clips

FRAMES = 36  # Of a video of middling length; they have 15 to 40.
CLASSIFIERS = ("words", "energy", "direction", "order")
WORST = 8
# The streams, or single heads of them, that make each row.
ROWS = {
    "TSN RGB": ["rgb:tsn"],
    "OFF RGB": ["rgb"],
    "OFF RGB, places alone": ["rgb:off14"],
    "OFF RGB, energy alone": ["rgb:off7_energy"],
    "OFF RGB, direction alone": ["rgb:off7_direction"],
    "OFF RGB, order of places alone": ["rgb:off14_order"],
    "TSN difference": ["diff:tsn"],
    "OFF difference": ["diff"],
    "TSN flow": ["flow:tsn"],
    "OFF flow": ["flow"],
    "TSN RGB + TSN flow: two streams": ["rgb:tsn", "flow:tsn"],
    "OFF RGB + OFF difference: no flow": ["rgb", "diff"],
    "OFF RGB + OFF flow": ["rgb", "flow"],
    "OFF RGB + OFF difference + OFF flow": ["rgb", "diff", "flow"],
}


def main() -> None:
    """Run the cells that are missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("root", type=Path)
    parser.add_argument("--splits", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--streams", choices=STREAMS, nargs="+", default=list(STREAMS))
    parser.add_argument("--out", type=Path, default=Path("runs/results"), help="what may be lost")
    parser.add_argument("--print", action="store_true", help="run nothing")
    parser.add_argument("--confusions", type=Path, help="PNG to draw, of OFF RGB")
    arguments = parser.parse_args()
    out: Path = arguments.out
    for split in arguments.splits:
        index = index_of(out, split)
        if not index.exists():
            marey("prepare", "jhmdb", arguments.root, "--split", split, "--out", index)
    if not arguments.print:
        for stream in arguments.streams:
            for split in arguments.splits:
                run(out, [cell(out, stream, split, seed) for seed in arguments.seeds])
    print("| network | cells | top-1, % | 95 % interval | seeds |\n|---|---|---|---|---|")
    places = [(split, seed) for seed in arguments.seeds for split in arguments.splits]
    for name, words in ROWS.items():
        done = [place for place in places if all(of(out, word, *place).is_done for word in words)]
        if done:
            mean, low, high, spread = row(out, words, done)
            print(
                f"| {name} | {len(done)} of {len(places)} | {mean:.1f} | {low:.1f} to {high:.1f} "
                f"| ± {spread:.1f} |"
            )
    if arguments.confusions:
        done = [place for place in places if cell(out, "rgb", *place).is_done]
        draw(out, done, arguments.confusions)


def run(out: Path, cells: Sequence[Cell]) -> None:
    """Train and score the cells of a split that are missing."""
    cells = [one for one in cells if not one.is_done]
    learnt = {one: trained(out, one) for one in cells}
    for one in cells:
        one.held_out.parent.mkdir(parents=True, exist_ok=True)
        keep_held_out(one, load_scores(learnt[one].heads))
    cells = [one for one in cells if not one.scores.exists()]
    if not cells:
        return
    models = [loaded(learnt[one].model) for one in cells]
    videos = read_index(index_of(out, cells[0].split)).only("test")
    for together in [models] if alike(models) else [[model] for model in models]:
        mine = [one for one, model in zip(cells, models, strict=True) if model in together]
        score(out, mine, together, videos)


def trained(out: Path, one: Cell) -> Learnt:
    """Train the networks of a cell as those of a folder of clips, each quarter held out in turn."""
    table = tomllib.loads(recipe(STREAMS[one.stream]).read_text())["train"]
    table["optim"] = Optimisation(**table["optim"])
    if one.stream == "flow":
        index, table["flow"] = index_of(out, one.split), out / "flow"
        marey("flow", index, "--method", "tvl1", "--out", table["flow"], "--quiet")
    listed = out / f"jhmdb-train{one.split}.csv"
    if not listed.exists():
        write_index(read_index(index_of(out, one.split)).only("train"), listed)
    index = read_index(listed)
    clips = Clips(
        index=index, listed=listed, frames=FRAMES, damaged={}, unusable={}, same=(), extra=()
    )

    def tell(event: str, done: int, total: int) -> None:
        if event != "step":
            print(f"{one.name}: {event}", file=sys.stderr, flush=True)

    settings = Training(**table, seed=one.seed)
    return fit_clips(settings, clips, out / one.name, tell=tell, cache=out / "cache")


def keep_held_out(one: Cell, said: Scores) -> None:
    """Keep what the heads of a cell said of training videos while these were held out."""
    meta = {name: said.meta[name] for name in ("model", "modality", "views", "weights_sha256")}
    meta |= {"split": f"J-HMDB {one.split} train, held out", "seed": one.seed}
    save_scores(replace(said, videos=tuple(map(plain, said.videos)), meta=meta), one.held_out)


def loaded(path: Path) -> OFF:
    """Return the OFF network of a checkpoint."""
    model = load_model(path)
    assert isinstance(model, OFF)
    return model


def alike(models: Sequence[OFF]) -> bool:
    """Tell whether networks differ in nothing but classifiers, of what is pooled."""
    if not all(isinstance(model.branch, OrderedBranch) for model in models):
        return False
    heads = ("tsn.head.", *(f"branch.{name}." for name in CLASSIFIERS))
    rest = [
        {name: one for name, one in model.state_dict().items() if not name.startswith(heads)}
        for model in models
    ]
    return all(torch.equal(rest[0][name], one) for other in rest for name, one in other.items())


def side_by_side(models: Sequence[OFF]) -> OFF:
    """Return a network whose classes are those of several, one after the other."""
    joined = copy.deepcopy(models[0])
    if len(models) == 1:
        return joined
    joined.tsn.head = beside([model.tsn.head for model in models])
    for name in CLASSIFIERS:
        setattr(joined.branch, name, beside([getattr(model.branch, name) for model in models]))
    return joined.eval()


def beside(heads: Sequence[nn.Linear]) -> nn.Linear:
    """Return one classifier with the answers of several."""
    biased = heads[0].bias is not None
    joined = nn.Linear(heads[0].in_features, sum(head.out_features for head in heads), bias=biased)
    joined.weight.data = torch.cat([head.weight.data for head in heads])
    if biased:
        joined.bias.data = torch.cat([head.bias.data for head in heads])
    return joined


def score(out: Path, cells: Sequence[Cell], models: Sequence[OFF], videos: Index) -> None:
    """Score test videos with networks that look together, and keep what each says."""
    classes = videos.classes
    others = [f"{name} {number}" for number in range(1, len(models)) for name in classes]
    videos = replace(videos, classes=(*classes, *others))
    source = (
        flow_source(folder=out / "flow", on_the_fly=False) if cells[0].stream == "flow" else None
    )
    unfinished = out / f"{cells[0].name}-test.unfinished"
    scores, failures = score_index(
        runner_of(side_by_side(models), threads=1),
        videos,
        views=Views(),
        meta={"cells": [one.name for one in cells], "part": "test"},
        unfinished=unfinished,
        source=source,
    )
    assert not failures, failures
    for number, (one, model) in enumerate(zip(cells, models, strict=True)):
        share = slice(number * len(classes), (number + 1) * len(classes))
        meta = {
            "model": model.name,
            "modality": model.modality,
            "weights_sha256": model.sha256,
            "split": f"J-HMDB {one.split} test",
            "seed": one.seed,
            "views": scores.meta["views"],
            "fusion": dict(model.fusion),
        }
        mine = Scores(
            videos=tuple(map(plain, scores.videos)),
            labels=scores.labels,
            classes=classes,
            heads={name: logits[:, share].copy() for name, logits in scores.heads.items()},
            meta=meta,
        )
        save_scores(mine, one.scores)
    discard(unfinished)


def draw(out: Path, places: list[tuple[int, int]], path: Path) -> None:
    """Draw what each class is taken for, in per cent of its videos, and print what is worst."""
    classes = read_index(index_of(out, places[0][0])).classes
    counts = np.zeros((len(classes), len(classes)))
    for place in places:
        _, truth, fused = answers(out, ["rgb"], *place)
        np.add.at(counts, (truth, fused.argmax(axis=1)), 1)
    shares = 100 * counts / counts.sum(axis=1, keepdims=True)
    figure = Figure(figsize=(9, 8), layout="constrained")
    axes = figure.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=100)
    for (line, column), share in np.ndenumerate(shares):
        if share >= 1:
            colour = "white" if share > 50 else "black"
            axes.text(column, line, f"{share:.0f}", ha="center", va="center", color=colour, size=7)
    axes.set_xticks(range(len(classes)), classes, rotation=90)
    axes.set_yticks(range(len(classes)), classes)
    axes.set_xlabel("taken for")
    axes.set_ylabel("is")
    with path.open("wb") as file:
        FigureCanvasAgg(figure).print_png(file, metadata={"Software": None})
    wrong = shares.copy()
    np.fill_diagonal(wrong, 0)
    for place_of in np.argsort(wrong, axis=None)[: -WORST - 1 : -1]:
        line, column = np.unravel_index(place_of, wrong.shape)
        print(f"{classes[line]} taken for {classes[column]}: {wrong[line, column]:.0f} %")
    for number in np.argsort(np.diag(shares)):
        print(f"{classes[number]} {shares[number, number]:.0f} %", end=", ")


def marey(*words: object) -> None:
    """Run a command of marey's, its messages on stderr."""
    command = [sys.executable, "-m", "marey", *map(str, words)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - our own words


if __name__ == "__main__":
    main()
