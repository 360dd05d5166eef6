"""The methods that flow is computed with, one function each that builds an estimator.

Axes: T frames, H rows, W columns, C channels; a pair is a frame and the next.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import local
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from jaxtyping import Float32, UInt8

from marey.errors import UsageError
from marey.flow._file import Making

if TYPE_CHECKING:
    import types

Method = Literal["tvl1", "tvl1-opencv", "dis", "farneback", "raft"]
METHODS: tuple[str, ...] = get_args(Method)

Frames = UInt8[np.ndarray, "T H W 3"]
Estimator = Callable[[Frames], Float32[np.ndarray, "P H W 2"]]
"""From frames to the flow from each to the next, in pixels, x then y; one pair fewer."""

_PAIRS_ON_GPU = 32


def tvl1(*, device: str = "cpu", threads: int = 1) -> Estimator:
    """Return our TV-L1: compiled for the processor, in torch on a GPU.

    Args:
        device: `cpu` or `cuda`.
        threads: Pairs at a time on a processor.
    """
    if device != "cpu":
        return _tvl1_on(device)
    from marey.flow._tvl1_kernel import tvl1_pair

    def estimate(frames: Frames) -> Float32[np.ndarray, "P H W 2"]:
        grey = grey_levels(frames).astype(np.float32)
        return _pair_by_pair(tvl1_pair, grey, threads)

    return estimate


def tvl1_opencv() -> Estimator:
    """Return OpenCV's TV-L1 with its default parameters, the reference for ours."""
    return _of_opencv(lambda cv2: cv2.optflow.DualTVL1OpticalFlow_create().calc)


def dis() -> Estimator:
    """Return Dense Inverse Search (Kroeger et al., ECCV 2016), preset fast: the quickest."""
    return _of_opencv(lambda cv2: cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_FAST).calc)


def farneback() -> Estimator:
    """Return Farneback's polynomial expansion (SCIA 2003), as OpenCV's documentation sets it."""

    def build(cv2: types.ModuleType) -> Callable[..., Any]:
        method = cv2.FarnebackOpticalFlow_create(
            numLevels=5, pyrScale=0.5, winSize=15, numIters=3, polyN=5, polySigma=1.2
        )
        return method.calc  # type: ignore[no-any-return]

    return _of_opencv(build)


def flow_estimator(
    method: str, *, weights: Path | None = None, device: str = "cpu", threads: int = 1
) -> Estimator:
    """Return the estimator of a method by name.

    Args:
        method: One of `METHODS`.
        weights: File of RAFT's weights, which do not come with this package.
        device: `cpu` or `cuda`; tvl1 and raft run on either.
        threads: Pairs at a time, for tvl1 on a processor.

    Raises:
        UsageError: There is no such method, or something that it needs is missing.
    """
    if method not in METHODS:
        raise UsageError(f"no flow method is called {method!r}; there are {', '.join(METHODS)}")
    if method == "raft":
        if weights is None:
            raise UsageError(
                "raft needs weights, which do not come with this package: give a file of "
                "RAFT-small's with --weights"
            )
        from marey.flow._raft import raft_small

        return raft_small(weights, device=device)
    if weights is not None:
        raise UsageError(f"{method} has no weights; leave --weights out, or choose raft")
    if method == "tvl1":
        return tvl1(device=device, threads=threads)
    return {"tvl1-opencv": tvl1_opencv, "dis": dis, "farneback": farneback}[method]()


def making_of(method: str) -> Making:
    """Return how a method makes flow, to be kept with it."""
    return Making(method=method, parameters=_parameters(method))


def _parameters(method: str) -> dict[str, int | float]:
    """Return the numbers that the flow of a method depends on."""
    from marey.flow import _tvl1_scheme as scheme

    if method in ("tvl1", "tvl1-opencv"):
        return {
            "tau": scheme.TAU,
            "lambda": scheme.LAMBDA,
            "theta": scheme.THETA_EXACT,
            "scales": scheme.SCALES,
            "scale_step": scheme.SCALE_STEP,
            "warps": scheme.WARPS,
            "outer_iterations": scheme.OUTER,
            "inner_iterations": scheme.INNER,
            "median": scheme.MEDIAN,
            "epsilon": scheme.EPSILON,
        }
    if method == "farneback":
        return {"levels": 5, "window": 15, "iterations": 3, "poly_n": 5, "poly_sigma": 1.2}
    return {"iterations": 12} if method == "raft" else {}


def grey_levels(frames: Frames) -> UInt8[np.ndarray, "T H W"]:
    """Return the brightness of frames (ITU-R BT.601), in weights of 14 bits."""
    weights = np.array([4899, 9617, 1868], np.uint32)
    levels: UInt8[np.ndarray, "T H W"] = ((frames @ weights + 8192) >> 14).astype(np.uint8)
    return levels


def _tvl1_on(device: str) -> Estimator:
    import torch

    from marey.flow._tvl1_torch import tvl1_pairs

    def estimate(frames: Frames) -> Float32[np.ndarray, "P H W 2"]:
        grey = torch.from_numpy(grey_levels(frames)).to(device).float()
        first, second = grey[:-1].split(_PAIRS_ON_GPU), grey[1:].split(_PAIRS_ON_GPU)
        parts = [tvl1_pairs(one, other) for one, other in zip(first, second, strict=True)]
        flow: Float32[np.ndarray, "P H W 2"] = torch.cat(parts).permute(0, 2, 3, 1).cpu().numpy()
        return flow

    return estimate


def _of_opencv(build: Callable[[types.ModuleType], Callable[..., Any]]) -> Estimator:
    try:
        import cv2
    except ImportError as error:
        raise UsageError(
            "this flow method is OpenCV's, which is not installed: pip install 'marey[opencv]'; "
            "tvl1 needs nothing more"
        ) from error
    # Two threads on one pair gain nothing; pairs and videos go side by side.
    cv2.setNumThreads(1)
    build(cv2)  # A version without the method is known at once.
    own = local()

    def estimate(frames: Frames) -> Float32[np.ndarray, "P H W 2"]:
        # OpenCV's objects keep their memory between pairs, so each thread has one of its own.
        if not hasattr(own, "compute"):
            own.compute = build(cv2)
        compute = own.compute
        return _pair_by_pair(lambda one, other: compute(one, other, None), grey_levels(frames), 1)

    return estimate


def _pair_by_pair(
    compute: Callable[..., Float32[np.ndarray, "H W 2"]], grey: np.ndarray, threads: int
) -> Float32[np.ndarray, "P H W 2"]:
    pairs: Sequence[int] = range(len(grey) - 1)
    flow = np.empty((len(pairs), *grey.shape[1:], 2), np.float32)

    def fill(pair: int) -> None:
        flow[pair] = compute(grey[pair], grey[pair + 1])

    if threads == 1 or len(pairs) < 2:
        for pair in pairs:
            fill(pair)
    else:
        with ThreadPoolExecutor(min(threads, len(pairs))) as pool:
            list(pool.map(fill, pairs))
    return flow
