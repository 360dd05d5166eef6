"""What is told of a source that is watched. Axes: H rows, W columns."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import UInt8

if TYPE_CHECKING:
    from marey.predictor import Prediction


@dataclass(frozen=True, slots=True)
class Lost:
    """The source gives nothing more, or cannot be opened; it is tried again."""

    reason: str


@dataclass(frozen=True, slots=True)
class Back:
    """A source that was lost gives pictures again."""

    seconds: float
    """How long it was away."""


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """A frame was looked at."""

    time: float
    """When the frame was captured: seconds of the computer's clock (since 1970) for a live
    source, and from the beginning of a recording."""

    prediction: "Prediction"
    picture: UInt8[np.ndarray, "H W 3"]
    """The frame as the network got it."""

    latency: float
    """Seconds from the frame's arrival to the answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What came of watching so far."""

    frames: int
    """Frames that the source gave."""

    looked_at: int
    """Answers given."""

    dropped: int
    """Frames that were too old when the network was free again."""

    reconnects: int
    """Times that the source was lost and came back."""

    latency_p50: float
    """Half of the answers took no longer than this, in seconds; 0 without answers."""

    latency_p99: float
    latency_max: float
    seconds: float
    """Time since watching began."""
