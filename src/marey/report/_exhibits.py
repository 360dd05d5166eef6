"""The videos that a report shows: mistakes, confusions, and what is seen to move."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from marey.models import Network

from ._answers import Answers, confused_pairs, confusion_of, examples_of, worst_videos
from ._flow import FlowAt
from ._footage import Footage
from ._motion import motion_of
from ._page import Confusion, Motion, Video, Wrong
from ._pictures import stills
from ._results import Result

_PAIRS = 8
_EXAMPLES = 4
_STILLS = 6
_MOTIONS = 2
"""Of each kind: recognised and not."""

_TOP = 3


@dataclass(slots=True)
class Exhibits:
    """What is shown of the videos."""

    worst: list[Wrong] = field(default_factory=list)
    confusions: list[Confusion] = field(default_factory=list)
    motions: list[Motion] = field(default_factory=list)


def exhibits_of(
    result: Result,
    answers: Answers,
    footage: Footage | None,
    *,
    worst: int,
    networks: Mapping[str, Network],
    flow: FlowAt | None,
    each: Callable[[int, int], None],
) -> Exhibits:
    """Return the videos to show, with pictures where there is footage.

    Args:
        result: Whose videos they are.
        answers: Its answers.
        footage: The videos; those that cannot be used are noted there.
        worst: How many of the worst to show.
        networks: OFF networks by name, to draw the maps of.
        flow: Gives the flow of videos.
        each: Is told how many are done, and of how many.
    """
    shown = Exhibits()
    rows = worst_videos(answers, at_most=worst)
    pairs = confused_pairs(confusion_of(answers), at_most=_PAIRS)
    moving = _moving(answers) if footage and (networks or flow) else []
    groups = footage.groups if footage else {}
    recordings = [groups.get(path, path) for path in result.scores.videos]
    total = len(rows) + len(pairs) + len(moving)

    def video(row: int, count: int) -> Video:
        return _video(result, answers, footage, row, count)

    for row in rows:
        shown.worst.append(_wrong(result, answers, row, video(row, _STILLS)))
        each(len(shown.worst), total)
    for done, pair in enumerate(pairs, start=len(rows) + 1):
        examples = examples_of(answers, pair, recordings, at_most=_EXAMPLES)
        shown.confusions.append(Confusion(pair, tuple(video(row, 1) for row in examples)))
        each(done, total)
    for done, row in enumerate(moving, start=len(rows) + len(pairs) + 1):
        assert footage is not None
        strips = motion_of(footage, row, networks, flow)
        if strips:
            shown.motions.append(Motion(video(row, 0), bool(answers.right[row]), strips))
        each(done, total)
    return shown


def path_of(result: Result, footage: Footage | None, row: int) -> str:
    """Return a video's path as the index has it, and which seconds of it were looked at."""
    path = result.scores.videos[row]
    if footage is None:
        return path
    entry = footage.entry(row)
    if entry.start is None and entry.end is None:
        return path
    end = "the end" if entry.end is None else f"{entry.end:g} s"
    return f"{path}, {entry.start or 0:g} s to {end}"


def _video(
    result: Result, answers: Answers, footage: Footage | None, row: int, count: int
) -> Video:
    classes = result.scores.classes
    return Video(
        path=path_of(result, footage, row),
        label=classes[answers.labels[row]],
        answer=classes[answers.answers[row]],
        pictures=stills(footage, row, count=count) if footage and count else (),
    )


def _wrong(result: Result, answers: Answers, row: int, video: Video) -> Wrong:
    classes = result.scores.classes
    probabilities = answers.probabilities[row]
    order = np.argsort(-probabilities, kind="stable").tolist()
    label = int(answers.labels[row])
    top = order[:_TOP] if label in order[:_TOP] else [*order[:_TOP], label]
    return Wrong(
        video=video,
        right=bool(answers.right[row]),
        place=1 + order.index(label),
        answers=tuple((classes[number], float(probabilities[number])) for number in top),
    )


def _moving(answers: Answers) -> Sequence[int]:
    """Return the clearest of the videos that were recognised, and of those that were not."""
    order = np.argsort(answers.margins, kind="stable").tolist()
    right = [row for row in order if answers.right[row]]
    wrong = [row for row in order if not answers.right[row]]
    return [*right[::-1][:_MOTIONS], *wrong[:_MOTIONS]]
