"""Small films, and each command on what is made of them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from marey.video import write_video

CLASSES = ("left", "right")
COMMANDS = ("prepare", "flow", "train", "test", "report", "export", "predict")


@dataclass(frozen=True)
class Data:
    """What commands are given."""

    root: Path

    @property
    def index(self) -> Path:
        return self.root / "index.csv"

    @property
    def model(self) -> Path:
        return self.root / "run" / "model.safetensors"

    @property
    def scores(self) -> Path:
        return self.root / "scores.npz"

    def words(self, command: str) -> tuple[str | Path, ...]:
        """Return a command that writes to `out` in its working folder."""
        index, model = self.index, self.model
        film = self.root / "films" / "test" / "left" / "0.avi"
        words: dict[str, tuple[str | Path, ...]] = {
            "prepare": ("prepare", "folder", self.root / "films", "--out", "out/index.csv"),
            "flow": ("flow", index, "--method=dis", "--out=out", "--workers=1"),
            "train": ("train", index, "--out=out", *TRAINING),
            "test": ("test", model, index, "--out=out/scores.npz", "--snippets=3", "--crops=1"),
            "report": ("report", self.scores, "--index", index, "--out=out", "--bootstrap=40"),
            "export": ("export", model, "--out=out/net.onnx", "--videos", film),
            "predict": ("predict", film, "--model", model, "--segments", *SAVED),
        }
        return words[command]


TRAINING = (
    "--model=tsn_tiny",
    "--epochs=1",
    "--batch=2",
    "--at-once=2",
    "--snippets=1",
    "--frozen-stages=-1",
    "--hold-out=0.5",
    "--workers=0",
    "--threads=1",
    "--device=cpu",
    "--save-minutes=0",
    "--optim.lr=0.01",
)
SAVED = ("--save=out/what.json", "--save=out/what.csv", "--save=out/what.srt")


def film(path: Path, *, step: int, seed: int, frames: int = 8) -> Path:
    """Write a film of a square that moves by `step` columns a frame."""
    rng = np.random.default_rng(seed)
    pictures = np.full((frames, 48, 64, 3), rng.integers(60, 120), np.uint8)
    for number, picture in enumerate(pictures):
        left = 24 + step * (number - frames // 2)
        picture[10:24, left : left + 14] = (200, 40, 90)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_video(path, pictures)
    return path
