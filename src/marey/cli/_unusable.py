"""Telling of the videos that are not ok, without a line for each where hundreds have one reason."""

import sys
from collections import defaultdict

from ._printable import printable

_NAMED = 5  # videos with the same reason; the rest are counted


class Told:
    """What was told on stderr of videos, and what was not."""

    def __init__(self) -> None:
        self._alike: defaultdict[tuple[str, str], list[str]] = defaultdict(list)

    def tell(self, status: str, video: str, reason: str) -> None:
        """Tell of a video, unless enough were told of with this reason."""
        alike = self._alike[status, reason.replace(video, "")]
        alike.append(video)
        if len(alike) <= _NAMED:
            _say(f"{status}: {video}: {reason}")

    def tell_rest(self, listed: str) -> None:
        """Tell how many more there were, and where they are listed."""
        for (status, _), videos in self._alike.items():
            if len(videos) > _NAMED:
                more = len(videos) - _NAMED
                _say(f"{status}: {more} more, like {videos[0]}; {listed} lists them")


def _say(line: str) -> None:
    print(printable(f"marey: {line}"), file=sys.stderr, flush=True)
