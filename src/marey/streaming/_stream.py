"""Recognition of a stream, frame by frame."""

from collections import deque
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8

from marey.data import SPANS, resize_short_side
from marey.errors import UsageError
from marey.evaluation import clips_of
from marey.models import Network, choose_device, for_inference, load_named
from marey.predictor import Prediction, Segment

from ._evidence import Evidence
from ._sight import Watcher

SNIPPETS = 25
"""Snippets of a window, as of a video in a test."""


class Stream:
    """Recognises actions in frames as they come.

    Every frame that is looked at goes through the backbone once. OFF compares it with one that
    came a share of the window before it, the share that the network was trained with. What the
    frames of the last window say is summed up, newer ones counting more; so for a video as
    long as the window, with an endless half-life, the last answer is that of `Predictor`
    looking at the same frames.

    Args:
        model: Name of a bundled network, or a checkpoint file.
        window: Seconds that an answer looks back; about as long as the videos that the network
            learnt from.
        half_life: Seconds after which what a frame says counts half; half the window unless
            given.
        device: `auto`, `cpu`, `cuda`.
        source: Name of the stream, for the predictions.

    Attributes:
        classes: Names of the classes.
        spacing: Seconds between frames that are looked at; others pass unseen.
        short_side: Pixels of the short side to which frames are scaled; those that have it
            already are taken as they are.

    Raises:
        UsageError: There is no such model or device, or it looks at flow, which takes longer
            to compute than to watch.
    """

    def __init__(
        self,
        model: str | Path,
        *,
        window: float = 1.5,
        half_life: float | None = None,
        device: str = "auto",
        source: str = "stream",
    ) -> None:
        require_seconds("window", window)
        half_life = window / 2 if half_life is None else half_life
        if not half_life > 0:
            raise UsageError(f"the half-life must be above 0 seconds, got {half_life}")
        trained = load_named(model)
        require_streamable(trained, model)
        self.model = str(model)
        self.classes = trained.classes
        self.spacing = window / SNIPPETS
        self.short_side = trained.preprocessing.short_side
        self._source = source
        self._network = for_inference(trained).to(choose_device(device))
        distance = window / trained.preprocessing.pace
        self._watcher = Watcher(self._network, distance=distance, tolerance=self.spacing)
        self._evidence = Evidence(window=window, half_life=half_life, fusion=trained.fusion)
        self._window = window
        self._span = SPANS[trained.modality]
        self._recent: deque[UInt8[torch.Tensor, "1 C H W"]] = deque(maxlen=self._span)
        self._begun: deque[tuple[int, float]] = deque()
        self._due = -float("inf")
        self._last = -float("inf")
        self._frames = 0

    def push(self, frame: UInt8[np.ndarray, "H W 3"], time: float) -> Prediction | None:
        """Take the next frame; return what is done now, if the frame was looked at.

        Time that goes backwards, or jumps by more than a window, begins a new stream.

        Args:
            frame: RGB.
            time: When it was shown, in seconds.
        """
        if not self._last <= time <= self._last + self._window:
            self.forget()
        self._last = time
        self._frames += 1
        if time >= self._due - 1e-9:
            self._begun.append((self._frames, time))
            on_grid = self._due + self.spacing
            self._due = on_grid if on_grid > time else time + self.spacing
        if not self._begun:
            return None
        picture = torch.from_numpy(frame).movedim(-1, 0)[None]
        self._recent.append(resize_short_side(picture, self.short_side))
        first, start = self._begun[0]
        if self._frames < first + self._span - 1:
            return None
        self._begun.popleft()
        return self._look(start, time)

    def wants(self, time: float) -> bool:
        """Return whether the next frame, if shown at this time, is needed.

        If not, it need not be decoded to RGB: `skip` tells that it passed.
        """
        goes_on = self._last <= time <= self._last + self._window
        return bool(self._begun) or not goes_on or time >= self._due - 1e-9

    def skip(self, time: float) -> None:
        """Let a frame pass that `wants` says is not needed, as `push` would."""
        self._last = time
        self._frames += 1

    def forget(self) -> None:
        """Begin a new stream."""
        self._watcher.forget()
        self._evidence.clear()
        self._recent.clear()
        self._begun.clear()
        self._due = -float("inf")

    def _look(self, start: float, time: float) -> Prediction:
        """Return what is done now, with the snippet of the last frames, which began at `start`."""
        clips = clips_of(
            torch.cat(list(self._recent), dim=1).to(self._network.device),
            crops=1,
            preprocessing=self._network.preprocessing,
            modality=self._network.modality,
        )
        (sight,) = self._watcher.see(clips[0], [start])
        self._evidence.add(sight)
        probabilities = self._evidence.probabilities()
        order = np.argsort(-probabilities, kind="stable")
        labels = tuple(self.classes[number] for number in order)
        shares = tuple(float(probabilities[number]) for number in order)
        return Prediction(
            video=self._source,
            status="ok",
            reason="",
            frames=self._frames,
            seconds=time,
            model=self.model,
            labels=labels,
            probabilities=shares,
            segments=(Segment(self._evidence.start, time, labels[0], shares[0]),),
        )


def require_seconds(name: str, value: float) -> None:
    """Raise UsageError unless a value is a duration."""
    if not 0 < value < float("inf"):
        raise UsageError(f"the {name} must be some seconds, got {value}")


def require_streamable(network: Network, model: str | Path) -> None:
    """Raise UsageError if a network wants what a stream does not have in time."""
    if network.modality == "flow":
        raise UsageError(
            f"{model} looks at optical flow, which takes longer to compute than to watch; take a "
            "network on rgb or rgbdiff"
        )
