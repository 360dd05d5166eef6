"""What can go wrong because of an input rather than a bug, and the exit code of each.

A message says what is wrong, what was given, and what is allowed or what to do.
"""

from typing import ClassVar


class MareyError(ValueError):
    """An input cannot be used."""

    exit_code: ClassVar[int] = 1


class UsageError(MareyError):
    """The caller asked for something that does not exist or contradicts itself."""

    exit_code: ClassVar[int] = 2


class IndexFileError(UsageError):
    """An index of videos, or a list that one is made from, contradicts itself."""


class VideoError(MareyError):
    """A video cannot be opened, or has no frame that can be used."""


class CheckpointError(MareyError):
    """A checkpoint is damaged or does not fit the network it claims to be."""


class RefusedError(MareyError):
    """A file could run code when opened, so it was not opened."""

    exit_code: ClassVar[int] = 4
