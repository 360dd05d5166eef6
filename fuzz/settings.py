"""Recipes, and what holds the frames of a video."""

from pathlib import Path

from cyclopts.config import Toml
from cyclopts.exceptions import CycloptsError

from marey.cli import _check_tables, app
from marey.video import structural_damage

_COMMANDS = (
    ["train", "videos.csv", "--out", "run"],
    ["flow", "videos.csv", "--out", "flow"],
    ["predict", "clip.mp4"],
)
_CONTAINERS = ("avi", "mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "mpegts", "flv")


def recipe(data: bytes, folder: Path) -> None:
    """Read a recipe as the command line does, and run nothing."""
    path = folder / "recipe.toml"
    path.write_bytes(data)
    _check_tables(path)
    app.config = (Toml(path, must_exist=True),)
    try:
        for words in _COMMANDS:
            app.parse_args(words, exit_on_error=False, print_error=False)
    except CycloptsError:  # Wrong usage, told as such.
        pass
    finally:
        app.config = ()


def container(data: bytes, folder: Path) -> None:
    """Walk through the parts of a container, which the first byte chooses."""
    path = folder / "video"
    path.write_bytes(data[1:])
    kind = _CONTAINERS[data[0] % len(_CONTAINERS)] if data else ""
    structural_damage(path, kind, packets=1)
