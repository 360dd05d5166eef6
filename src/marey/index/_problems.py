"""Telling everything that is wrong with a list at once, with what was probably meant."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

from marey.errors import IndexFileError

_SHOWN = 20  # problems spelt out in one message; the rest are counted


def nearest(word: str, choices: Iterable[str]) -> str:
    """Return `; did you mean ...?` for the choice most like `word`, or nothing."""
    folded = {choice.casefold(): choice for choice in choices}
    close = get_close_matches(word.casefold(), folded, n=1)
    return f"; did you mean {folded[close[0]]!r}?" if close else ""


def refuse(source: str, problems: Sequence[str]) -> None:
    """Raise one error for all the problems, if there are any."""
    if not problems:
        return
    shown = list(problems[:_SHOWN])
    if len(problems) > _SHOWN:
        shown.append(f"and {len(problems) - _SHOWN} more")
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    raise IndexFileError("\n  ".join([f"{source}: {count}", *shown]))
