"""Progress for people: a bar with the time left on a terminal, and nothing in a pipe."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)


@contextmanager
def progress_bar(*, quiet: bool) -> Iterator[Progress]:
    """Show a bar on stderr while the block runs, unless quiet or not on a terminal."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=quiet or not console.is_terminal) as bar:
        yield bar


def announcer(*, quiet: bool) -> Callable[[str], None]:
    """Return what tells on stderr of something that takes a while, unless quiet."""

    def announce(what: str) -> None:
        if not quiet:
            print(f"marey: {what}", file=sys.stderr, flush=True)

    return announce
