"""From a video to what is done in it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from marey.backends import EXPORTED, Backend, Runner, facts_of, read_exported, runner_of
from marey.data import FlowOnTheFly
from marey.errors import UsageError, VideoError
from marey.evaluation import Views, fuse_heads, head_weights, score_snippets, snippets_of
from marey.flow import ComputedFlow
from marey.models import Network, choose_device, for_inference, load_named
from marey.video import FrameFolder, VideoReader, open_video

_USUAL_FLOW = "tvl1"
Status = Literal["ok", "damaged", "unusable"]


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of a video, in seconds, and what is done in it."""

    start: float
    end: float
    label: str
    probability: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """What a network says of one video."""

    video: str
    status: Status
    """`damaged`: the answer rests on the frames that could be decoded. `unusable`: no answer."""

    reason: str
    """Why the status is not `ok`."""

    frames: int
    """Frames that could be decoded."""

    seconds: float
    """Their duration."""

    model: str
    labels: tuple[str, ...] = ()
    """All classes, the most probable first."""

    probabilities: tuple[float, ...] = ()
    """Theirs, which sum to one."""

    segments: tuple[Segment, ...] = ()

    def as_json(self, *, top: int | None = None) -> dict[str, Any]:
        """Return plain values for a file, at most `top` of the classes."""
        pairs = list(zip(self.labels, self.probabilities, strict=True))[:top]
        return {
            "video": self.video,
            "status": self.status,
            "reason": self.reason,
            "frames": self.frames,
            "seconds": round(self.seconds, 3),
            "model": self.model,
            "predictions": [{"label": label, "probability": round(p, 6)} for label, p in pairs],
            "segments": [
                {
                    "start": round(segment.start, 3),
                    "end": round(segment.end, 3),
                    "label": segment.label,
                    "probability": round(segment.probability, 6),
                }
                for segment in self.segments
            ],
        }


class Predictor:
    """Recognises actions in videos.

    Args:
        model: Name of a bundled network, a checkpoint file, or a file that `marey export` wrote.
        device: `auto`, `cpu`, `cuda`.
        backend: What runs the network: `torch`, `onnx`, `openvino`. Unless given, what the
            environment variable `MAREY_BACKEND` names; else OpenVINO where it is installed and
            the device is a CPU, else PyTorch.
        views: How each video is looked at; 25 snippets at the centre unless given.
        flow: Method by which flow is computed for a network that looks at flow; the one that it
            learnt from unless given, and TV-L1 where that is not known.
        announce: Told of what takes a while before the first video.

    Attributes:
        facts: What the network is.
        runner: The network, ready to answer.

    Raises:
        UsageError: There is no such model, device or backend.
        MareyError: The file cannot be used.
    """

    def __init__(
        self,
        model: str | Path,
        *,
        device: str = "auto",
        backend: Backend | None = None,
        views: Views | None = None,
        flow: str | None = None,
        announce: Callable[[str], None] = lambda what: None,
    ) -> None:
        self.model = str(model)
        self.views = views or Views(crops=1)
        self._device = device
        self._trained: Network | None = None
        self.runner: Runner
        if Path(model).suffix in EXPORTED:
            exported = read_exported(Path(model), backend=backend, device=device)
            self.facts, self.runner = exported.facts, exported
        else:
            self._trained = load_named(model)
            self.facts = facts_of(self._trained)
        if self.facts.modality == "flow":
            method = flow or self.facts.preprocessing.flow or _USUAL_FLOW
            self._flow = FlowOnTheFly(method, threads=torch.get_num_threads())
        elif flow is not None:
            raise UsageError(f"{model} looks at {self.facts.modality}, not at flow; leave flow out")
        if self._trained is not None:
            self.runner = runner_of(
                self._trained, backend=backend, device=device, announce=announce
            )

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes that the network tells apart."""
        return self.facts.classes

    @cached_property
    def network(self) -> Network:
        """The network in PyTorch, from `for_inference`: what pictures of OFF are drawn from.

        Raises:
            UsageError: There is only an exported file, which answers and no more.
        """
        if self._trained is None:
            raise UsageError(
                f"{self.model} is an exported network, which shows nothing but its answers; take "
                "the checkpoint that it came from"
            )
        return for_inference(self._trained).to(choose_device(self._device))

    def __call__(self, video: str | Path) -> Prediction:
        """Return what is done in a video. A video that cannot be used is an answer, no error."""
        prediction, _ = self.look(video)
        return prediction

    def look(self, video: str | Path) -> tuple[Prediction, UInt8[Tensor, "K C H W"] | None]:
        """Return also the snippets that the network was shown, in bytes; none if unusable."""
        try:
            with self._open(video) as reader:
                snippets = snippets_of(
                    reader,
                    views=self.views,
                    preprocessing=self.facts.preprocessing,
                    modality=self.facts.modality,
                )
                verdict = reader.verdict()
                if isinstance(reader, ComputedFlow):
                    seconds = verdict.frames / reader.fps
                else:
                    seconds = float(reader.times()[-1])
        except VideoError as error:
            return self._unusable(video, str(error)), None
        probabilities = self._probabilities(snippets)
        order = np.argsort(-probabilities, kind="stable")
        labels = tuple(self.classes[number] for number in order)
        shares = tuple(float(probabilities[number]) for number in order)
        prediction = Prediction(
            video=str(video),
            status=verdict.status,
            reason=verdict.reason,
            frames=verdict.frames,
            seconds=seconds,
            model=self.model,
            labels=labels,
            probabilities=shares,
            segments=(Segment(0.0, seconds, labels[0], shares[0]),),
        )
        return prediction, snippets

    def _open(self, video: str | Path) -> VideoReader | FrameFolder | ComputedFlow:
        if self.facts.modality == "flow":
            return self._flow.of(Path(video))
        return open_video(video)

    def _unusable(self, video: str | Path, reason: str) -> Prediction:
        return Prediction(
            video=str(video),
            status="unusable",
            reason=reason,
            frames=0,
            seconds=0.0,
            model=self.model,
        )

    def _probabilities(self, snippets: UInt8[Tensor, "K C H W"]) -> Float[np.ndarray, " Y"]:
        heads = score_snippets(self.runner, snippets, views=self.views)
        fused = fuse_heads(heads, head_weights(heads, self.facts.fusion))
        raised = np.exp(fused.astype(np.float64) - fused.max())
        answer: Float[np.ndarray, " Y"] = raised / raised.sum()
        return answer
