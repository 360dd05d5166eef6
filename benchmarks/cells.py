"""Cells of `results.py`: what is kept of a stream, split and seed, and what streams say as one."""

import hashlib
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path, PurePath

import numpy as np

from marey.evaluation import Scores, fit_head_weights, fuse_heads, load_scores
from marey.index import read_index
from marey.report._bootstrap import interval, resample

RESAMPLES = 2000
KEPT = Path(__file__).parent / "results"
STREAMS = {"rgb": "jhmdb-lite0", "diff": "jhmdb-diff-lite0", "flow": "jhmdb-flow-lite0"}


@dataclass(frozen=True)
class Cell:
    """One stream, split and seed."""

    stream: str
    split: int
    seed: int
    digest: str

    @property
    def name(self) -> str:
        """Its folder."""
        return f"{self.stream}-split{self.split}-seed{self.seed}-{self.digest}"

    @property
    def scores(self) -> Path:
        """Where its scores of test videos are kept."""
        return KEPT / self.name / "test.npz"

    @property
    def held_out(self) -> Path:
        """Where what its heads said of held-out training videos is kept."""
        return KEPT / self.name / "held-out.npz"

    @property
    def is_done(self) -> bool:
        """Whether there is nothing left to do."""
        return self.scores.exists() and self.held_out.exists()


def index_of(out: Path, split: int) -> Path:
    """Return the index of an official split."""
    return out / f"jhmdb-split{split}.csv"


def cell(out: Path, stream: str, split: int, seed: int) -> Cell:
    """Return a cell, named by all that its figures depend on."""
    digest = hashlib.sha256(str(seed).encode())
    for entry in sorted(read_index(index_of(out, split)).entries, key=lambda entry: entry.path):
        digest.update(f"\n{plain(entry.path)} {entry.label} {entry.split} {entry.group}".encode())
    digest.update(recipe(STREAMS[stream]).read_bytes())
    return Cell(stream, split, seed, digest.hexdigest()[:12])


def of(out: Path, word: str, split: int, seed: int) -> Cell:
    """Return the cell of a stream, or of a head of it."""
    return cell(out, word.partition(":")[0], split, seed)


def plain(path: str) -> str:
    """Return the name of a video without the place of the data set."""
    return "/".join(PurePath(path).parts[-2:])


def recipe(name: str) -> Path:
    """Return the file of a recipe."""
    return Path(str(files("marey") / "recipes" / f"{name}.toml"))


def row(
    out: Path, words: list[str], places: list[tuple[int, int]]
) -> tuple[float, float, float, float]:
    """Return the mean top-1 of cells, in per cent, its interval over recordings, and over seeds.

    Videos are tested in several splits, and clips of one recording are alike, so recordings are
    drawn, and every cell is measured on the same draw. Over seeds it is the standard deviation of
    the means over splits.
    """
    labels: dict[str, int] = {}
    groups: dict[str, str] = {}
    outcomes: list[dict[str, bool]] = []
    for place in places:
        videos, truth, fused = answers(out, words, *place)
        labels |= dict(zip(videos, truth, strict=True))
        right = fused.argmax(axis=1) == truth
        outcomes.append(dict(zip(videos, right.tolist(), strict=True)))
        entries = read_index(index_of(out, place[0])).only("test").entries
        groups |= {plain(entry.path): entry.group or entry.path for entry in entries}
    names = sorted(labels)
    right = np.array([[outcome.get(name, False) for name in names] for outcome in outcomes])
    seen = np.array([[name in outcome for name in names] for outcome in outcomes])
    of_groups, numbers = np.unique([groups[name] for name in names], return_inverse=True)
    truth = np.array([labels[name] for name in names])
    drawn = resample(right, seen, truth, numbers, times=RESAMPLES, seed=0).top1.mean(axis=1)
    between = interval(drawn, groups=len(of_groups))
    by_cell = 100 * right.sum(axis=1) / seen.sum(axis=1)
    by_seed = [
        np.mean([by_cell[n] for n, (_, other) in enumerate(places) if other == seed])
        for seed in sorted({seed for _, seed in places})
    ]
    spread = float(np.std(by_seed, ddof=1)) if len(by_seed) > 1 else 0.0
    low, high = (between.low, between.high) if between else (0.0, 1.0)
    return float(by_cell.mean()), 100 * low, 100 * high, spread


def answers(
    out: Path, words: list[str], split: int, seed: int
) -> tuple[tuple[str, ...], np.ndarray, np.ndarray]:
    """Return the test videos of a cell, their labels and what streams or heads say together."""
    cells = {word: of(out, word, split, seed) for word in words}
    first = load_scores(cells[words[0]].scores)
    if len(words) == 1:
        head = words[0].partition(":")[2]
        fused = first.heads[head] if head else fuse_heads(first.heads, first.meta["fusion"])
        return first.videos, first.labels, fused
    tested = {word: load_scores(one.scores) for word, one in cells.items()}
    held = {word: load_scores(one.held_out) for word, one in cells.items()}
    signed = [
        {word: one.meta.get("weights_sha256") for word, one in scores.items()}
        for scores in (tested, held)
    ]
    assert signed[0] == signed[1], "what was held out is of other networks"
    like = held[words[0]]
    weights = fit_head_weights(heads_of(held, like), like.labels)
    return first.videos, first.labels, fuse_heads(heads_of(tested, first), weights)


def heads_of(scores: dict[str, Scores], like: Scores) -> dict[str, np.ndarray]:
    """Return all heads, or the one that a word names, of scores of the same videos."""
    found = {}
    for word, one in scores.items():
        assert one.videos == like.videos
        assert np.array_equal(one.labels, like.labels)
        stream, _, head = word.partition(":")
        names = [head] if head else list(one.heads)
        found |= {f"{stream}:{name}": one.heads[name] for name in names}
    return found
