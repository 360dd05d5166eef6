"""Telling how two things that should be alike differ."""

from collections.abc import Sequence

from marey.errors import UsageError

_SHOWN = 5


def refuse_differences(what: str, differences: Sequence[str], *, fix: str) -> None:
    """Raise one error that shows the first five differences, if there are any."""
    if differences:
        more = len(differences) - _SHOWN
        lines = [f"{what}; {fix}", *differences[:_SHOWN], *([f"and {more} more"] * (more > 0))]
        raise UsageError("\n  ".join(lines))


def class_differences(
    one: Sequence[str], other: Sequence[str], *, names: tuple[str, str]
) -> list[str]:
    """Return where two orders of classes differ."""
    return [
        f"class {number} is {_at(one, number)} in {names[0]} and {_at(other, number)} in {names[1]}"
        for number in range(max(len(one), len(other)))
        if _at(one, number) != _at(other, number)
    ]


def _at(names: Sequence[str], number: int) -> str:
    return repr(names[number]) if number < len(names) else "not there"
