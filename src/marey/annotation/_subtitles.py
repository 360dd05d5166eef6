"""What is done in a video as subtitles: SubRip, and WebVTT as the W3C defines it."""

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple, Protocol, runtime_checkable

from ._words import one_line

_WORD_JOINER = "\N{WORD JOINER}"
# SubRip has no escapes. Players look for tags, entities, positions and arrows in the text.
_MISREAD_IN_SRT = re.compile(r"<(?=\S)|\{(?=\S)|\\(?=\S)|&(?=#?\w+;)|--(?=>)")
_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


@runtime_checkable
class Stretch(Protocol):
    """A stretch of a video, in seconds, and what is done in it: `marey.Segment` is one."""

    @property
    def start(self) -> float:
        """Where it begins."""

    @property
    def end(self) -> float:
        """Where it ends."""

    @property
    def label(self) -> str:
        """What is done."""

    @property
    def probability(self) -> float:
        """How sure that is."""


class _Cue(NamedTuple):
    """A line of text and when it is shown, in milliseconds."""

    start: int
    end: int
    text: str


def srt_of(stretches: Iterable[Stretch]) -> str:
    """Return subtitles in the SubRip format, a cue for each stretch.

    A character that is not seen, a word joiner, keeps players from taking a part of a label
    for a tag.
    """
    return "".join(
        f"{number}\n{_clock(cue.start, ',')} --> {_clock(cue.end, ',')}\n"
        f"{_MISREAD_IN_SRT.sub(_apart, cue.text)}\n\n"
        for number, cue in enumerate(_cues(stretches), 1)
    )


def vtt_of(stretches: Iterable[Stretch]) -> str:
    """Return subtitles in the WebVTT format, a cue for each stretch."""
    return "WEBVTT\n\n" + "".join(
        f"{_clock(cue.start, '.')} --> {_clock(cue.end, '.')}\n{cue.text.translate(_ENTITIES)}\n\n"
        for cue in _cues(stretches)
    )


def _cues(stretches: Iterable[Stretch]) -> Iterator[_Cue]:
    """Yield cues in the order of time, none empty, and each at an end when the next begins."""
    ordered = sorted(stretches, key=lambda stretch: (stretch.start, stretch.end))
    free = 0
    for place, stretch in enumerate(ordered):
        start = max(_milliseconds(stretch.start), free)
        end = _milliseconds(stretch.end)
        if place + 1 < len(ordered):
            end = min(end, _milliseconds(ordered[place + 1].start))
        free = max(end, start + 1)
        label = one_line(stretch.label)
        yield _Cue(start, free, f"{label} ({stretch.probability:.0%})".lstrip())


def _milliseconds(seconds: float) -> int:
    return max(round(1000 * seconds), 0)


def _clock(milliseconds: int, mark: str) -> str:
    seconds, rest = divmod(milliseconds, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}{mark}{rest:03}"


def _apart(found: re.Match[str]) -> str:
    return found[0] + _WORD_JOINER
