"""What is gained over the originals' way, on the same clip and machine, in one run.

Axes: V views, K snippets, C channels, S rows and columns of a crop, Y classes.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from marey.backends import ExportedRunner, Runner
from marey.errors import MareyError, UsageError
from marey.evaluation import phases
from marey.models import Network, for_inference
from marey.video import open_video

from ._original import (
    as_original,
    live_images,
    original_answers,
    original_heads,
    read_images,
    store_frames,
    views_of_images,
)
from ._ours import FrameByFrame, answers, frames_of_video, live_frames, views_in_memory
from ._timing import Steps, steps_in_turn

_MOST_APART, _MOST_APART_BF16 = 1e-3, 0.1
_STEPS_A_TURN = 3
_CROPS: tuple[Literal[1, 10], ...] = (1, 10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gain:
    """How long a stage took both ways, turn by turn."""

    look: str
    """What is looked at: `25 x 10`, snippets by crops, or `streaming`."""

    stage: str
    original: tuple[float, ...]
    """Seconds."""

    ours: tuple[float, ...]
    """Seconds."""

    @property
    def ratios(self) -> list[float]:
        """How many times as fast ours was, turn by turn."""
        return [theirs / own for theirs, own in zip(self.original, self.ours, strict=True)]

    def as_json(self) -> dict[str, Any]:
        """Return plain values for a file."""
        return {
            "look": self.look,
            "stage": self.stage,
            "turns": len(self.ours),
            "original_ms": 1e3 * median(self.original),
            "ours_ms": 1e3 * median(self.ours),
            "ratio": median(self.ratios),
            "lowest_ratio": min(self.ratios),
            "highest_ratio": max(self.ratios),
        }


class Comparison:
    """Both ways over one video, which answer alike.

    Args:
        video: A video file of at least as many frames as snippets.
        network: As it was built or loaded; it looks at RGB.
        runner: What runs it in our way, on the CPU.
        snippets: Frames that are looked at.
        folder: Where the originals' JPEGs are put.

    Attributes:
        difference: Greatest difference between the answers to the same input, as a share of
            the largest logit.

    Raises:
        UsageError: The video or the network is of another kind.
        MareyError: The two ways do not answer alike.
    """

    def __init__(
        self, video: Path, *, network: Network, runner: Runner, snippets: int, folder: Path
    ) -> None:
        if network.modality != "rgb":
            raise UsageError(
                f"--compare is for networks that look at rgb, got one for {network.modality}"
            )
        if video.is_dir():
            raise UsageError(
                f"--compare takes a video file, since frames in a folder are the originals' way; "
                f"got the folder {video}"
            )
        with open_video(video) as reader:
            if len(reader) < snippets:
                raise UsageError(
                    f"{video} has {len(reader)} frames, and {snippets} are wanted; the original "
                    "would look at some of them twice: take a longer video or fewer --snippets"
                )
        frames = frames_of_video(video, snippets)
        self._video = video
        self._runner = runner
        self._snippets = snippets
        self._preprocessing = network.preprocessing
        self._original = as_original(network)
        self._images = store_frames(frames, folder)
        self._stride = len(phases(runner, snippets))
        split = for_inference(network)
        self._live = FrameByFrame(split, snippets=snippets, stride=self._stride)
        [view] = views_in_memory(frames, runner, crops=1)
        self.difference = self._checked(view)

    def gains(
        self, *, seconds: float, announce: Callable[[str], None] = lambda look: None
    ) -> Iterator[Gain]:
        """Yield how long each stage takes both ways, look by look.

        Looks are snippets by one crop and by ten, and a stream, to which a frame was added. At
        the end the stream is compared with an original that is asked for the newest pair only,
        or for the newest frame where the network sees no motion.

        Args:
            seconds: Time for each stage of each look.
            announce: Called with the name of each look before it is measured.
        """
        for crops in _CROPS:
            look = f"{self._snippets} x {crops}"
            announce(look)
            original, ours = steps_in_turn(
                self._original_steps(crops), self._our_steps(crops), seconds=seconds * _STEPS_A_TURN
            )
            yield from _gains(look, original, ours)
        announce("streaming")
        window = range(-self._snippets, 0)
        newest = (-1 - self._stride, -1) if self._runner.sees_motion else (-1,)
        original, careful, ours = steps_in_turn(
            self._original_stream(window),
            self._original_stream(newest),
            self._our_stream(),
            seconds=seconds * _STEPS_A_TURN,
        )
        yield from _gains("streaming", original, ours)
        yield from _gains("streaming, newest only", careful, ours)

    def _original_steps(self, crops: Literal[1, 10]) -> Steps:
        def preprocess(images: Sequence[Any]) -> Tensor:
            return views_of_images(images, self._preprocessing, crops=crops)

        return {
            f"read {self._snippets} frames": lambda _: read_images(self._images),
            "preprocess": preprocess,
            "network": lambda views: original_answers(self._original, views),
        }

    def _our_steps(self, crops: Literal[1, 10]) -> Steps:
        return {
            f"read {self._snippets} frames": lambda _: frames_of_video(self._video, self._snippets),
            "preprocess": lambda frames: views_in_memory(frames, self._runner, crops=crops),
            "network": lambda views: answers(self._runner, views),
        }

    def _original_stream(self, seen: Sequence[int]) -> Steps:
        """Return what the originals' way does with a new frame.

        Args:
            seen: Which of the last frames the network is shown, the newest being -1.
        """
        images = live_images(self._images)
        kept: deque[Tensor] = deque(maxlen=self._snippets)

        def arrive(_: object) -> Tensor:
            kept.append(views_of_images([next(images)], self._preprocessing, crops=1)[0, 0])
            return torch.stack([kept[place] for place in seen])

        # The window is full when the clock starts.
        kept.extend(views_of_images(read_images(self._images), self._preprocessing, crops=1)[0])
        return {
            "read+preprocess": arrive,
            "network": lambda clip: original_answers(self._original, clip[None]),
        }

    def _our_stream(self) -> Steps:
        frames = live_frames(self._video)

        def arrive(_: object) -> Tensor:
            return views_in_memory(next(frames)[None], self._runner, crops=1)[0, 0]

        # Its window is full since the check.
        return {"read+preprocess": arrive, "network": self._live}

    def _checked(self, view: Float[Tensor, "K C S S"]) -> float:
        """Return how far apart the answers to the same input are; fill the stream's window."""
        expected = original_heads(self._original, view)
        with torch.inference_mode():
            found = {head: logits[0] for head, logits in self._runner(view[None]).items()}
        for snippet in view:
            streamed = self._live(snippet)
        apart = max(_apart(expected, found), _apart(answers(self._runner, view[None]), streamed))
        runner = self._runner
        coarse = isinstance(runner, ExportedRunner) and runner.facts.precision == "bfloat16"
        most = _MOST_APART_BF16 if coarse else _MOST_APART
        if not apart <= most:
            raise MareyError(
                f"the originals' way and ours differ by {apart:.2g} of the largest logit, more "
                f"than {most:g}, so there is nothing to compare; try --backend torch"
            )
        return apart


def _gains(
    look: str, original: Mapping[str, list[float]], ours: Mapping[str, list[float]]
) -> Iterator[Gain]:
    """Yield the stages of a look, and their sum."""
    whole = [
        {**taken, "whole": [sum(turn) for turn in zip(*taken.values(), strict=True)]}
        for taken in (original, ours)
    ]
    for stage in whole[0]:
        theirs, own = (tuple(taken[stage]) for taken in whole)
        yield Gain(look=look, stage=stage, original=theirs, ours=own)


def _apart(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> float:
    """Return the greatest difference as a share of the largest logit, over heads."""
    assert expected.keys() == found.keys()
    return max(
        float((found[head] - logits).abs().max() / logits.abs().max())
        for head, logits in expected.items()
    )
