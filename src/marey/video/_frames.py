"""Frame numbers that callers ask for. Axes: T frames, H rows, W columns, C channels."""

from collections.abc import Callable, Iterable, Sequence
from operator import index as as_int
from pathlib import Path
from typing import SupportsIndex

import numpy as np
from av.video.frame import VideoFrame
from jaxtyping import UInt8

from marey.video._picture import Pictures


def checked_indices(indices: Iterable[SupportsIndex], length: int, path: Path) -> list[int]:
    """Return the indices as plain integers.

    Raises:
        IndexError: One is negative or not below `length`.
    """
    places = [as_int(index) for index in indices]
    for place in places:
        if not 0 <= place < length:
            raise IndexError(_outside(place, length, path))
    return places


def counted_from_end(index: int, length: int, path: Path) -> int:
    """Return an index as for a list, where -1 is the last frame, as one from the start.

    Raises:
        IndexError: There is no such frame.
    """
    if not -length <= index < length:
        raise IndexError(_outside(index, length, path))
    return index % length


def picked(
    places: Sequence[int],
    fetch: Callable[[Sequence[int]], Iterable[tuple[int, VideoFrame]]],
    pictures: Pictures,
) -> UInt8[np.ndarray, "T H W 3"]:
    """Return one picture for each place; a frame is fetched and converted once.

    Args:
        places: Frame numbers in any order, which may repeat.
        fetch: Gives the frames for rising numbers.
        pictures: The converter.
    """
    out = np.empty((len(places), pictures.height, pictures.width, 3), np.uint8)
    spots: dict[int, list[int]] = {}
    for spot, place in enumerate(places):
        spots.setdefault(place, []).append(spot)
    for number, frame in fetch(sorted(spots)):
        first, *more = spots[number]
        pictures.write(frame, out[first])
        for spot in more:
            out[spot] = out[first]
    return out


def _outside(index: int, length: int, path: Path) -> str:
    return f"{path} has {length} frames, 0 to {length - 1}; there is no frame {index}"
