"""Telling everything that is wrong with a list at once, with what was probably meant."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from difflib import get_close_matches

from marey.errors import IndexFileError

_SHOWN = 20  # problems of one kind spelt out in one message; the rest are counted
_NAMES_AND_NUMBERS = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|\d+(?:\.\d+)?""")


def nearest(word: str, choices: Iterable[str]) -> str:
    """Return `; did you mean ...?` for the choice most like `word`, or nothing."""
    folded = {choice.casefold(): choice for choice in choices}
    close = get_close_matches(word.casefold(), folded, n=1)
    return f"; did you mean {folded[close[0]]!r}?" if close else ""


def refuse(source: str, problems: Sequence[str]) -> None:
    """Raise one error for all the problems, if there are any; many of one kind are counted."""
    if not problems:
        return
    kinds: Counter[str] = Counter()
    shown = []
    for problem in problems:
        kind = _kind(problem)
        kinds[kind] += 1
        if kinds[kind] <= _SHOWN:
            shown.append(problem)
    if len(problems) > len(shown):
        shown.append(f"and {len(problems) - len(shown)} more like these")
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    raise IndexFileError("\n  ".join([f"{source}: {count}", *shown]))


def _kind(problem: str) -> str:
    """Return what a problem has in common with others: all but its place, names and numbers."""
    text = _NAMES_AND_NUMBERS.sub("", problem)
    return text.partition(": ")[2] or text
