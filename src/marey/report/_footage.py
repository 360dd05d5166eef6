"""The videos behind scores, and which of them could not be used."""

from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from marey.data import FrameSource, part_of
from marey.errors import UsageError, VideoError
from marey.evaluation import Scores
from marey.index import Entry, Index, read_index
from marey.video import open_video

_SHOWN = 5

Answer = TypeVar("Answer")


class Footage:
    """Opens the videos of scores, and keeps a list of those that are of no use.

    Args:
        path: The index that says where they lie.
        scores: Whose videos they are.

    Raises:
        UsageError: The index has other videos, labels or classes than the scores.
    """

    def __init__(self, path: Path, scores: Scores) -> None:
        self.name = path.name
        self.index = read_index(path, classes=scores.classes)
        self._entries = _entries_of(path, self.index, scores)
        made_with = scores.meta.get("index_sha256")
        self.made_with = made_with is None or made_with == self.index.fingerprint
        """Whether these are the scores of this very index, as far as they tell."""

        gone = set(self.index.missing())
        self.problems: dict[str, str] = {
            entry.path: "missing; it is not where the index says"
            for entry in self._entries
            if self.index.file(entry) in gone
        }
        """What is wrong with a video, by its path."""

        self._useless = set(self.problems)

    @property
    def groups(self) -> dict[str, str]:
        """The recording that each path was cut from, where the index tells."""
        return {entry.path: entry.group for entry in self.index.entries if entry.group}

    def entry(self, row: int) -> Entry:
        """Return what the index says of the video in a row of the scores."""
        return self._entries[row]

    def ask(self, row: int, question: Callable[[FrameSource], Answer]) -> Answer | None:
        """Return the answer to a question about a video, or None if it cannot be used.

        A video that is damaged is noted, though its sound frames have answered.
        """
        entry = self.entry(row)
        if entry.path in self._useless:
            return None
        try:
            with open_video(self.index.file(entry)) as video:
                answer = question(part_of(video, start=entry.start, end=entry.end))
                verdict = video.verdict()
        except VideoError as error:
            self.problems[entry.path] = f"unusable; {error}"
            self._useless.add(entry.path)
            return None
        if verdict.status != "ok":
            self.problems[entry.path] = f"damaged; {verdict.reason}"
        return answer


def _entries_of(path: Path, index: Index, scores: Scores) -> list[Entry]:
    """Return the entry of every video of the scores; stretches of one file in their order."""
    split = scores.meta.get("split")
    known: dict[str, deque[Entry]] = defaultdict(deque)
    for entry in index.entries:
        if split not in index.splits or entry.split == split:
            known[entry.path].append(entry)
    lost = [video for video in scores.videos if video not in known]
    if lost:
        raise UsageError(
            f"{path}: it has not {len(lost)} of the {len(scores.videos)} videos that were "
            f"scored, such as {_few(lost)}; give the index that the scores were made with"
        )
    entries = []
    wrong = []
    for video, label in zip(scores.videos, scores.labels.tolist(), strict=True):
        entry = known[video].popleft() if len(known[video]) > 1 else known[video][0]
        entries.append(entry)
        if entry.label != scores.classes[label]:
            wrong.append(f"{video} ({entry.label!r}, scored as {scores.classes[label]!r})")
    if wrong:
        raise UsageError(f"{path}: its labels are not those of the scores: {_few(wrong)}")
    return entries


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
