"""Predictions by the workers of a cluster, each of which loads the network once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Literal

import torch

from marey.addresses import fetched
from marey.allocator import keep_freed_memory
from marey.backends import EXPORTED, Backend, usual_backend
from marey.errors import MareyError, VideoError
from marey.evaluation import Views
from marey.isolation import Workers
from marey.predictor import Prediction, Predictor


@dataclass(frozen=True, slots=True, kw_only=True)
class Looking:
    """How each worker looks at videos; see `Predictor`."""

    model: str
    weights_sha256: str
    """Of the network that is meant."""

    crops: Literal[1, 10] = 1
    backend: Backend | None = None
    flow: str | None = None


def predictions(
    cluster: Workers, looking: Looking, videos: Sequence[str], *, fetch: Sequence[str] = ()
) -> Iterator[Prediction]:
    """Yield what is done in each video, in their order.

    Args:
        cluster: The workers.
        looking: What they look with.
        videos: Files that they have, or addresses.
        fetch: Protocols of addresses that they fetch; see `fetched`.
    """
    backend = same_backend(looking.model, looking.backend)
    work = partial(_prediction, looking=replace(looking, backend=backend), fetch=tuple(fetch))
    for video, answer in zip(videos, cluster.in_order(work, videos), strict=True):
        if isinstance(answer, Prediction):
            yield answer
        else:
            yield _unusable(video, looking.model, f"{video}: {answer}")


def same_backend(model: str, backend: Backend | None) -> Backend | None:
    """Return what runs a network here, so that workers do not decide by themselves."""
    return backend if backend or Path(model).suffix in EXPORTED else usual_backend("cpu")


def _prediction(video: str, *, looking: Looking, fetch: tuple[str, ...]) -> Prediction:
    predictor = _predictor(looking)
    try:
        with fetched(video, Path(video), protocols=fetch) as file:
            if file == Path(video):
                return predictor(video)
            return _named(predictor(file), video)
    except VideoError as error:
        return _unusable(video, looking.model, str(error))


@lru_cache(maxsize=1)
def _predictor(looking: Looking) -> Predictor:
    keep_freed_memory()
    torch.set_num_threads(1)
    predictor = Predictor(
        looking.model,
        device="cpu",
        backend=looking.backend,
        views=Views(crops=looking.crops),
        flow=looking.flow,
    )
    require_weights(looking.model, predictor.facts.weights_sha256, looking.weights_sha256)
    return predictor


def require_weights(model: str, found: str, wanted: str) -> None:
    """Refuse a network that is another one at a worker.

    Raises:
        MareyError: It is.
    """
    if found != wanted:
        raise MareyError(
            f"{model} is another network at a worker than here; keep it where all computers see "
            "the same file, and the same marey on all of them"
        )


def _named(prediction: Prediction, video: str) -> Prediction:
    """Return what is said of a copy as said of the video."""
    reason = prediction.reason.replace(prediction.video, video)
    return replace(prediction, video=video, reason=reason)


def _unusable(video: str, model: str, reason: str) -> Prediction:
    return Prediction(
        video=video, status="unusable", reason=reason, frames=0, seconds=0.0, model=model
    )
