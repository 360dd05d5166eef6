"""Every parser of ours by name. Each takes any bytes and a folder to put them into.

A parser may take them or refuse them by one of our own errors; anything else is a crash.
"""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from marey.errors import MareyError

Target = Callable[[bytes, Path], None]

# Where each is: a module is imported only when it is needed, since some load torch.
TARGETS = {
    **dict.fromkeys(("index", "table", "tsn_list", "ucf101", "hmdb51"), "fuzz.lists"),
    **dict.fromkeys(("classes", "checkpoint", "metadata", "weights", "graph"), "fuzz.networks"),
    **dict.fromkeys(("scores", "flow", "flow_words", "ledgers", "log"), "fuzz.results"),
    **dict.fromkeys(("recipe", "container"), "fuzz.settings"),
}


def target_of(name: str) -> Target:
    """Return a parser by its name."""
    target: Target = getattr(import_module(TARGETS[name]), name)
    return target


def attempt(target: Target, data: bytes, folder: Path) -> bool:
    """Return whether a parser takes the bytes; anything but its own refusal is raised."""
    try:
        target(data, folder)
    except MareyError:
        return False
    return True
