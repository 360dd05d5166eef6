"""Films to extract the flow of, and what is left on the disk then."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from marey.extraction import Extracted, Extraction, extract
from marey.index import Entry, Index
from marey.video import write_video

DIS = Extraction(method="dis")
TSN = Extraction(method="dis", form="tsn")

Tree = dict[str, str]


def film(path: Path, frames: int = 5, *, seed: int = 0, fps: float = 25.0) -> Path:
    """Write a film of blocks that move to the right."""
    blocks = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8)
    still = blocks.repeat(8, 0).repeat(8, 1)
    write_video(path, np.stack([np.roll(still, 2 * t, 1) for t in range(frames)]), fps=fps)
    return path


def index_of(root: Path, *videos: str | Entry) -> Index:
    entries = [Entry(video, "walk") if isinstance(video, str) else video for video in videos]
    return Index(root, tuple(entries), ("walk",))


def tree(folder: Path) -> Tree:
    """Return a hash of every file below a folder but the lock."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != "lock"]
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


def ledger(folder: Path) -> list[dict[str, Any]]:
    """Return the whole lines of a ledger that is there."""
    file = folder / "ledger.jsonl"
    text = file.read_text() if file.exists() else ""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


class Told:
    """Remembers which videos were made, and which were there."""

    def __init__(self) -> None:
        self.made: list[str] = []
        self.kept: list[str] = []

    def __call__(self, row: Extracted, kept: bool) -> None:
        (self.kept if kept else self.made).append(row.video)


def again(index: Index, extraction: Extraction, folder: Path) -> Told:
    told = Told()
    extract(index, extraction, folder, workers=1, each=told)
    return told


class StopError(Exception):
    """What a test stops an extraction with."""
