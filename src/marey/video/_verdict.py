"""What is known about the health of a video, and the notes it is drawn from."""

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """Whether a video is whole."""

    status: Literal["ok", "damaged", "unusable"]
    reason: str
    """Why it is not ok; empty if it is."""
    frames: int
    """How many frames decode."""
    declared: int | None
    """How many frames the header promises, if it does. Headers of sound videos are wrong too."""


@dataclass(slots=True)
class Damage:
    """Signs of damage, each kind with its first place and its number."""

    _notes: dict[str, tuple[str, int]] = field(default_factory=dict)

    def note(self, kind: str, where: str) -> None:
        """Remember one sign, said as "`kind` (first: `where`, 3 in all)"."""
        first, count = self._notes.get(kind, (where, 0))
        self._notes[kind] = (first, count + 1)

    def reasons(self) -> list[str]:
        """Return one phrase for each kind of damage, in the order of first sight."""
        return [
            f"{kind} (first: {first}, {count} in all)" if count > 1 else f"{kind} ({first})"
            for kind, (first, count) in self._notes.items()
        ]

    def __bool__(self) -> bool:
        return bool(self._notes)
