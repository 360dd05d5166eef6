"""The trained networks that come with this package."""

from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path

from marey.errors import UsageError

from ._checkpoint import load_model
from ._off import OFF
from ._tsn import TSN


def bundled_models() -> dict[str, Path]:
    """Return the checkpoints that come with this package, by name."""
    folder = Path(str(files("marey") / "weights"))
    return {path.stem: path for path in sorted(folder.glob("*.safetensors"))}


def load_named(name: Path | str) -> TSN | OFF:
    """Return a bundled network by its name, or the network of a checkpoint file.

    A folder stands for the `model.safetensors` in it, which `marey train` wrote.

    Raises:
        UsageError: It is neither.
        MareyError: As `load_model`.
    """
    known = bundled_models()
    if str(name) in known:
        return load_model(known[str(name)])
    if Path(name).is_dir():
        return load_model(_in_folder(Path(name)))
    if not Path(name).is_file():
        nearest = get_close_matches(str(name), known, n=1)
        hint = f"; did you mean {nearest[0]}?" if nearest else ""
        raise UsageError(
            f"no model {str(name)!r}: there is no such file, and the bundled ones are "
            f"{', '.join(known)}{hint}"
        )
    return load_model(name)


def _in_folder(folder: Path) -> Path:
    """Return the finished network of a folder that was trained into."""
    path = folder / "model.safetensors"
    if not path.is_file():
        raise UsageError(
            f"no model in the folder {folder}: it holds no {path.name}; if `marey train` was "
            "stopped, the same command goes on and ends with one"
        )
    return path
