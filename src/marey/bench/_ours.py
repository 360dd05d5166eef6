"""From the bytes of a video to the answers of a network, as this package goes, in parts.

Axes: V views, K snippets, which are frames here, C channels, H rows, W columns, S rows and
columns of a crop, Y classes.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import av
import numpy as np
import torch
from av.video.reformatter import VideoReformatter
from jaxtyping import Float, UInt8
from torch import Tensor

from marey.backends import Runner
from marey.data import segment_centres
from marey.evaluation import Views, clips_of, phases, snippets_of
from marey.models import OFF, Network
from marey.nn import ORDER, PooledBranch, Shares, SplitBranch, lateness
from marey.video import open_video

_FRAMES_AT_ONCE = 50  # As `score_snippets` has it.


@dataclass(frozen=True, slots=True)
class _InMemory:
    """Frames in memory, as a video to take all of them from."""

    frames: UInt8[np.ndarray, "T H W 3"]

    def __len__(self) -> int:
        return len(self.frames)

    def frames_at(self, indices: Sequence[int], /) -> UInt8[np.ndarray, "K H W 3"]:
        answer: UInt8[np.ndarray, "K H W 3"] = self.frames[indices]
        return answer


def frames_of_video(video: Path, snippets: int) -> UInt8[np.ndarray, "K H W 3"]:
    """Return the frames of a video that a test looks at."""
    with open_video(video) as reader:
        return reader.frames_at(segment_centres(len(reader), segments=snippets).tolist())


def live_frames(video: Path) -> Iterator[UInt8[np.ndarray, "H W 3"]]:
    """Yield the frames of a video one after the other as a camera would, over and over again."""
    while True:
        # A reader would decode a short video whole, to know its length, before the first frame.
        with av.open(video) as container:
            container.streams.video[0].thread_type = "NONE"
            reformatter = VideoReformatter()
            for frame in container.decode(video=0):
                yield reformatter.reformat(frame, format="rgb24").to_ndarray()


def views_in_memory(
    frames: UInt8[np.ndarray, "K H W 3"], network: Runner, *, crops: Literal[1, 10]
) -> Float[Tensor, "V K C S S"]:
    """Return the centre of decoded frames, or ten crops of them, as a network wants them."""
    snippets = snippets_of(
        _InMemory(frames),
        views=Views(snippets=len(frames)),
        preprocessing=network.preprocessing,
        modality=network.modality,
    )
    return clips_of(
        snippets, crops=crops, preprocessing=network.preprocessing, modality=network.modality
    )


@torch.inference_mode()
def answers(network: Runner, views: Float[Tensor, "V K C S S"]) -> dict[str, Float[Tensor, " Y"]]:
    """Return one row of logits per head, as `score_snippets` does once it has made the views."""
    together = phases(network, views.shape[1])
    at_once = max(_FRAMES_AT_ONCE // views.shape[1], 1)
    parts = [[network(part[:, seen]) for seen in together] for part in views.split(at_once)]
    return {
        head: torch.cat([torch.cat([heads[head] for heads in part], dim=1) for part in parts])
        .amax(dim=0)
        .mean(dim=0)
        for head in parts[0][0]
    }


class FrameByFrame:
    """A network that is shown snippet after snippet, and does the work of each only once.

    What a snippet contributes to pairs is kept until the one that it is paired with has come,
    and logits are kept as long as the window holds their snippets.

    Args:
        network: From `for_inference`.
        snippets: Snippets of the window that is answered for, the newest one included.
        stride: How many snippets later the other one of a pair comes.
    """

    def __init__(self, network: Network, *, snippets: int, stride: int) -> None:
        self._network = network
        self._kept: deque[Shares] = deque(maxlen=stride)
        self._rows: dict[str, deque[Tensor]] = {"tsn": deque(maxlen=snippets)}
        if isinstance(network, OFF):
            self._rows |= {name: deque(maxlen=snippets - stride) for name in network.branch.heads}

    @torch.inference_mode()
    def __call__(self, snippet: Float[Tensor, "C S S"]) -> dict[str, Float[Tensor, " Y"]]:
        """Return the mean logits of the window that ends with a snippet, by head.

        The heads of motion are missing until there is a pair.
        """
        for head, row in self._heads(snippet).items():
            self._rows[head].append(row)
        found = {head: torch.stack(tuple(rows)) for head, rows in self._rows.items() if rows}
        if ORDER in found:
            found[ORDER] = _in_order(found[ORDER], self._kept.maxlen or 1)
        return {head: logits.mean(dim=0) for head, logits in found.items()}

    def _heads(self, snippet: Float[Tensor, "C S S"]) -> dict[str, Float[Tensor, " Y"]]:
        """Return the logits of a snippet, and of the pair that it closes."""
        network = self._network
        tsn = network.tsn if isinstance(network, OFF) else network
        maps = network.maps(snippet[None, None])
        heads = {"tsn": tsn.heads(maps, snippets=1)["tsn"][0, 0]}
        if not isinstance(network, OFF):
            return heads
        assert isinstance(network.branch, SplitBranch | PooledBranch)
        shares = network.branch.shares(maps.levels)
        if len(self._kept) == self._kept.maxlen:
            pair = network.branch.pairs(self._kept[0].earlier, shares.later)
            heads |= {name: logits[0] for name, logits in pair.items()}
        self._kept.append(shares)
        return heads


def _in_order(logits: Float[Tensor, "P Y"], stride: int) -> Float[Tensor, "P Y"]:
    """Return logits of pairs weighed by how late these come in their chain."""
    weighed = torch.empty_like(logits)
    for first in range(min(stride, len(logits))):
        chain = logits[first::stride]
        weighed[first::stride] = chain * lateness(len(chain), like=chain)[:, None]
    return weighed
