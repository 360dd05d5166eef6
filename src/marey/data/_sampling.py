"""Which frames of a video the network sees.

Pure functions of frame numbers. A snippet covers `span` frames and is named by its first, so
a video of `frames` frames has `frames - span + 1` places for one. A video shorter than the
span has one place, and the frames beyond its end are its last frame again.

Two rules of Temporal Segment Networks (https://arxiv.org/abs/1608.00859) and two of OFF
(https://arxiv.org/abs/1711.11152), each of the latter as the paper words it and as the
released Caffe code does it.
"""

import numpy as np
from jaxtyping import Int64
from numpy.random import Generator

from marey.errors import VideoError

Places = Int64[np.ndarray, " K"]


def segment_centres(frames: int, *, segments: int, span: int = 1) -> Places:
    """Return the middle place of each of `segments` equal segments of the video.

    TSN's test rule, and OFF's with 25 segments. Segments of a short video share frames.

    Raises:
        VideoError: The video has no frame.
    """
    places = _places(frames, span)
    centres: Places = ((2 * np.arange(segments) + 1) * places) // (2 * segments)
    return centres


def segment_draws(frames: int, *, segments: int, rng: Generator, span: int = 1) -> Places:
    """Return one random place in each of `segments` equal segments: TSN's training rule.

    Where the original falls back to sorted draws or to the first frame for short videos, the
    segments here simply overlap, so every frame keeps its chance.
    """
    places = _places(frames, span)
    edges = np.arange(segments + 1) * (places / segments)
    drawn = np.floor(rng.uniform(edges[:-1], edges[1:])).astype(np.int64)
    clipped: Places = np.minimum(drawn, places - 1)
    return clipped


def paced_draws(
    frames: int, *, snippets: int = 7, pace: int = 25, rng: Generator, span: int = 1
) -> Places:
    """Return `snippets` places 1/`pace` of the video apart, from a random start.

    OFF's training rule as the paper words it, without jitter. In a video so short that the
    step would be under one frame it is stretched to one, or to what fits, so that neighbours
    differ as long as there are frames enough; the Caffe original then repeats one frame and
    has no motion to learn from.
    """
    places = _places(frames, span)
    gaps = max(snippets - 1, 1)
    step = min(max(places / pace, 1.0), (places - 1) / gaps)
    start = rng.uniform(0, places - (snippets - 1) * step)
    drawn = np.floor(start + np.arange(snippets) * step + 1e-9).astype(np.int64)
    clipped: Places = np.minimum(drawn, places - 1)
    return clipped


def caffe_draws(
    frames: int, *, snippets: int = 7, slots: int = 25, rng: Generator, span: int = 1
) -> Places:
    """Return OFF's training places as the released Caffe code draws them.

    The video is cut into `slots` slots, one step apart; a random run of `snippets` slots is
    taken and each place jitters within its step. Two departures: every start slot can be
    drawn (the original leaves out the last two), and a video too short for a step of one
    frame is left to `paced_draws` (the original takes its first frame `snippets` times).
    """
    places = _places(frames, span)
    step = (places - 1) // (slots - 1)
    if step == 0:
        return paced_draws(frames, snippets=snippets, pace=slots, rng=rng, span=span)
    first = rng.integers(slots - snippets + 1)
    jitter = rng.integers(step - span + 1, size=snippets) if step > span else 1
    drawn: Places = np.minimum((first + np.arange(snippets)) * step + jitter, places - 1)
    return drawn


def caffe_steps(frames: int, *, snippets: int = 25, span: int = 1) -> Places:
    """Return OFF's test places as the released Caffe code takes them: whole steps from the start.

    The original never reaches a video's last place, and neither does this.
    """
    places = _places(frames, span)
    step = (places - 1) // (snippets - 1)
    return np.minimum(np.arange(snippets) * step, max(places - 2, 0))


def frames_of(places: Places, *, frames: int, span: int) -> Int64[np.ndarray, "K span"]:
    """Return the frames that the snippets at `places` cover, the last one repeated at the end."""
    return np.minimum(places[:, None] + np.arange(span), frames - 1)


def _places(frames: int, span: int) -> int:
    if frames < 1:
        raise VideoError("a video without frames has no snippets")
    return max(frames - span + 1, 1)
