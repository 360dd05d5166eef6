"""What OFF sees in a few videos, and the flow between their frames.

Axes: P shown frames, K snippets, T frames, H rows, W columns.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from marey.data import SPANS, FrameSource, Preprocessing, centre_box, segment_centres
from marey.drawing import sight_of
from marey.errors import UsageError, VideoError
from marey.evaluation import Views, snippets_of
from marey.models import OFF, Network

from ._flow import FlowAt, flow_pictures
from ._footage import Footage
from ._pictures import Picture, as_bytes, picture_of, small

_VIEWS = Views(crops=1)
_COLUMNS = 6


@dataclass(frozen=True, slots=True)
class Strip:
    """A row of pictures and what it shows."""

    name: str
    pictures: tuple[Picture, ...]


def require_off(name: str, network: Network) -> None:
    """Refuse a network whose maps cannot be drawn over plain frames.

    Raises:
        UsageError: It has no OFF branch, or looks at flow.
    """
    if not isinstance(network, OFF):
        raise UsageError(f"{name} is a TSN; --model takes OFF networks, whose maps can be drawn")
    if network.modality == "flow":
        raise UsageError(
            f"{name} looks at flow, which plain videos do not hold; --model takes OFF networks "
            "of rgb or rgbdiff"
        )


def motion_of(
    footage: Footage, row: int, networks: Mapping[str, Network], flow: FlowAt | None
) -> tuple[Strip, ...]:
    """Return strips of a video: frames, what each network sees in them, and their flow.

    Nothing if the video cannot be used.
    """

    def look(video: FrameSource) -> tuple[Strip, ...]:
        strips: list[Strip] = []
        places: list[int] = []
        preprocessing = None
        for name, network in networks.items():
            preprocessing, before = network.preprocessing, places
            more, places = _sight(video, network, f" ({name})" if len(networks) > 1 else "")
            strips += more[1:] if places == before else more
        if not networks:
            places = np.unique(segment_centres(len(video), segments=_COLUMNS)).tolist()
            strips.append(_strip("frame", small(video.frames_at(places)), places))
        if flow and len(video) > 1:
            try:
                pictures = flow_pictures(flow(footage.entry(row), video, places))
            except VideoError as error:
                footage.problems[footage.entry(row).path] = f"shown without flow; {error}"
            else:
                strips.append(_strip("flow", _window(pictures, preprocessing), places))
        return tuple(strips)

    return footage.ask(row, look) or ()


def _sight(video: FrameSource, network: Network, whose: str) -> tuple[list[Strip], list[int]]:
    """Return a strip of frames and one for each kind of change, and the frames' places."""
    snippets = snippets_of(
        video, views=_VIEWS, preprocessing=network.preprocessing, modality=network.modality
    )
    sight = sight_of(network, snippets)
    # As `snippets_of` places them.
    starts = segment_centres(len(video), segments=_VIEWS.snippets, span=SPANS[network.modality])
    distinct = np.unique(starts)
    starts = distinct if len(distinct) > 1 else starts[:2]
    places = starts[list(sight.snippets)].tolist()
    strips = [_strip("frame", small(as_bytes(sight.frames)), places)]
    for name, pictures in sight.changes.items():
        strips.append(_strip(f"{name}{whose}", small(as_bytes(pictures)), places))
    return strips, places


def _window(
    pictures: UInt8[np.ndarray, "P H W 3"], preprocessing: Preprocessing | None
) -> UInt8[np.ndarray, "P h w 3"]:
    """Return the part of whole pictures that a network is shown, or all without a network."""
    if preprocessing is not None:
        pictures = small(pictures, preprocessing.short_side)
        box = centre_box(*pictures.shape[1:3], size=preprocessing.size)
        pictures = pictures[:, box.top : box.top + box.height, box.left : box.left + box.width]
    return small(pictures)


def _strip(name: str, pictures: UInt8[np.ndarray, "P H W 3"], places: Sequence[int]) -> Strip:
    words = [f"{name}, frame {place + 1}" for place in places]
    return Strip(name, tuple(map(picture_of, pictures, words)))
