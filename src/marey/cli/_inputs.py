"""Which videos the words of a command line stand for."""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from marey.addresses import is_address
from marey.errors import UsageError

LIST_SUFFIXES = frozenset((".txt", ".csv"))


def videos_of(inputs: Iterable[str]) -> list[str]:
    """Return the videos that files, folders, lists and `-` stand for, in that order.

    A folder stands for the videos below it, a `.txt` list for its lines, a `.csv` index for
    its paths, and `-` for the lines of stdin. Any other path stands for itself, whether it is
    there or not, so that a missing video is reported like an unusable one.

    Raises:
        UsageError: A folder or list holds no video, or there is none at all.
    """
    found = [video for word in inputs for video in _videos(word)]
    if not found:
        raise UsageError("no videos given; name files, folders, lists, or - for a list on stdin")
    return found


def _videos(word: str) -> Iterator[str]:
    path = Path(word)
    if word in ("-", "/dev/stdin"):
        yield from _lines(sys.stdin)
    elif path.is_dir():
        yield from _below(path)
    elif path.suffix.lower() in LIST_SUFFIXES and path.is_file():
        yield from _listed(path)
    else:
        yield word


def _below(folder: Path) -> list[str]:
    from marey.index import VIDEO_SUFFIXES, videos_below

    videos = [str(folder / path) for path in videos_below(folder)]
    if not videos and (folder / "img_00001.jpg").exists():
        return [str(folder)]
    if not videos:
        raise UsageError(
            f"{folder}: no videos in this folder; they are told by their endings: "
            f"{' '.join(sorted(VIDEO_SUFFIXES))}"
        )
    return videos


def _listed(path: Path) -> Iterator[str]:
    if path.suffix.lower() == ".csv":
        from marey.index import read_index

        index = read_index(path)
        for entry in index.entries:
            yield entry.path if is_address(entry.path) else str(index.file(entry))
        return
    with path.open(encoding="utf-8") as file:
        try:
            for line in _lines(file):
                whole = Path(line).is_absolute() or is_address(line)
                yield line if whole else str(path.parent / line)
        except UnicodeDecodeError as error:
            raise UsageError(f"{path}: not a list of videos, its text is not UTF-8") from error


def _lines(file: Iterable[str]) -> Iterator[str]:
    return (line.rstrip("\r\n") for line in file if line.strip())
