"""Where what can be made again is kept between runs."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """Return the user's cache of this package: `marey` in `$XDG_CACHE_HOME` or `~/.cache`."""
    root = os.environ.get("XDG_CACHE_HOME", "")
    # The specification says that relative ones are to be ignored.
    return (Path(root) if Path(root).is_absolute() else Path.home() / ".cache") / "marey"
