"""Small films in which the direction of motion is the label, and small runs on them."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ranks_of_marey import recipe, together
from tiny_networks import (
    OFF_ORDERED_TINY,
    OFF_POOLED_TINY,
    OFF_TINY,
    SIZE,
    TSN_TINY,
    off_ordered_tiny,
    off_pooled_tiny,
    off_tiny,
    small_preprocessing,
    tsn_tiny,
)

from marey.index import Entry, Index, write_index
from marey.models import OFF_NETWORKS, POOLED_OFF_NETWORKS, TSN_NETWORKS
from marey.settings import Optimisation, Training
from marey.training import Outcome, Progress, fit
from marey.video import write_video

FRAMES = 12
GROUPS = 4  # of training videos of each class; one more is for testing

# Three steps in each of two passes over six videos.
SHORT = Training(
    model=TSN_TINY,
    epochs=2,
    batch=2,
    at_once=1,
    snippets=1,
    dropout=0.5,
    frozen_stages=-1,
    hold_out=0.25,
    workers=0,
    threads=1,
    device="cpu",
    optim=Optimisation(lr=0.01),
)


class StopError(Exception):
    """What a test stops a run with."""


def moving_square(step: int, seed: int) -> np.ndarray:
    """Return a film of a square that moves by `step` columns a frame."""
    rng = np.random.default_rng(seed)
    frames = np.full((FRAMES, 48, SIZE, 3), rng.integers(60, 120), np.uint8)
    row, column = rng.integers(4, 28), 24
    for number, frame in enumerate(frames):
        left = column + step * (number - FRAMES // 2)
        frame[row : row + 14, left : left + 14] = (200, 40, 90)
    return frames


@pytest.fixture(scope="session")
def films(tmp_path_factory: pytest.TempPathFactory) -> Index:
    """Videos of two classes: eight for training in groups of one, two for testing."""
    root = tmp_path_factory.mktemp("films")
    entries = []
    for label, step in (("left", -3), ("right", 3)):
        for number in range(GROUPS + 1):
            path = f"{label}{number}.avi"
            write_video(root / path, moving_square(step, number))
            split = "train" if number < GROUPS else "test"
            entries.append(Entry(path, label, split, group=f"{label} {number}"))
    index = Index(root, tuple(entries), ("left", "right"))
    write_index(index, root / "index.csv")
    return index


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Know the tiny networks, let others see small pictures, and use one thread."""
    monkeypatch.setitem(TSN_NETWORKS, TSN_TINY, tsn_tiny)
    monkeypatch.setitem(OFF_NETWORKS, OFF_TINY, off_tiny)
    monkeypatch.setitem(POOLED_OFF_NETWORKS, OFF_POOLED_TINY, off_pooled_tiny)
    monkeypatch.setitem(POOLED_OFF_NETWORKS, OFF_ORDERED_TINY, off_ordered_tiny)
    monkeypatch.setattr("marey.models._zoo.Preprocessing", small_preprocessing)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session", name="short")
def _short() -> Callable[..., Training]:
    def short(**changes: Any) -> Training:
        return replace(SHORT, **changes)

    return short


class Told:
    """Keeps what a run reports, and stops it at a step."""

    def __init__(self, stop_at: int | None = None) -> None:
        self.stop_at = stop_at
        self.events: list[str] = []

    def __call__(self, event: str, progress: Progress, steps: int) -> None:
        self.events.append(event)
        if event == "step" and progress.step == self.stop_at:
            raise StopError

    @property
    def steps(self) -> int:
        return self.events.count("step")

    @property
    def said(self) -> list[str]:
        return [event for event in self.events if event != "step"]


class Runs:
    """Runs on the films."""

    def __init__(self, films: Index) -> None:
        self.films = films

    def to_the_end(
        self, settings: Training, out: Path, cache: Path | None = None
    ) -> tuple[Outcome, Told]:
        told = Told()
        return fit(settings, self.films, out, report=told, cache=cache), told

    def stopped(self, settings: Training, out: Path, *, at: int, cache: Path | None = None) -> None:
        with pytest.raises(StopError):
            fit(settings, self.films, out, report=Told(at), cache=cache)


@pytest.fixture
def runs(films: Index) -> Runs:
    return Runs(films)


@pytest.fixture(scope="session", name="log_of")
def _log_of() -> Callable[[Path], list[dict[str, Any]]]:
    def log_of(out: Path) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]

    return log_of


@pytest.fixture
def train(films: Index, tmp_path: Path) -> Callable[..., tuple[str, str, list[int]]]:
    """Train on the films in several processes; see `together`."""

    def train(
        settings: Training, out: Path, *, count: int, index: Path | None = None, **more: str
    ) -> tuple[str, str, list[int]]:
        file = recipe(settings, tmp_path / "recipe.toml")
        words = ["train", str(index or films.root / "index.csv"), f"--out={out}"]
        return together([*words, f"--recipe={file}"], count=count, **more)

    return train
