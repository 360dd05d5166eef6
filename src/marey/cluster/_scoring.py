"""Scores by the workers of a cluster, each of which loads the network once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path

import torch

from marey.addresses import fetched
from marey.allocator import keep_freed_memory
from marey.backends import EXPORTED, Backend, Runner, facts_of, read_exported, runner_of
from marey.data import Source, StoredFlow
from marey.errors import VideoError
from marey.evaluation import Answers, Views, ready_snippets, score_snippets
from marey.index import Entry, Index
from marey.isolation import CrashError, Workers
from marey.models import load_named

from ._predicting import require_weights, same_backend


@dataclass(frozen=True, slots=True, kw_only=True)
class Scoring:
    """How each worker scores videos; see `score_index`."""

    model: str
    weights_sha256: str
    """Of the network that is meant."""

    root: Path
    """Where the paths of the index start."""

    views: Views
    source: Source
    backend: Backend | None = None
    frames_at_once: int | None = None


def answers(
    entries: Sequence[Entry], *, cluster: Workers, scoring: Scoring, fetch: Sequence[str] = ()
) -> Iterator[tuple[int, Answers | VideoError]]:
    """Yield the place of each video among those given, and its answer, as they are done.

    Args:
        entries: Videos of an index.
        cluster: The workers.
        scoring: What they score with.
        fetch: Protocols of addresses that they fetch; see `fetched`.
    """
    backend = same_backend(scoring.model, scoring.backend)
    work = partial(_answer, scoring=replace(scoring, backend=backend), fetch=tuple(fetch))
    for place, answer in cluster.each(work, entries):
        if isinstance(answer, CrashError):
            yield place, VideoError(f"{entries[place].path}: {answer}")
        else:
            yield place, answer


def _answer(entry: Entry, *, scoring: Scoring, fetch: tuple[str, ...]) -> Answers | VideoError:
    runner = _runner(scoring.model, scoring.weights_sha256, scoring.backend)
    needed = () if isinstance(scoring.source, StoredFlow) else fetch
    own = scoring.root / entry.path
    seen = entry
    try:
        with fetched(entry.path, own, protocols=needed) as file:
            # An absolute path stands for itself.
            seen = entry if file == own else replace(entry, path=str(file))
            snippets = ready_snippets(
                runner,
                Index(scoring.root, (seen,), (entry.label,)),
                seen,
                views=scoring.views,
                source=scoring.source,
            )
    except VideoError as error:
        return VideoError(str(error).replace(seen.path, entry.path))
    return score_snippets(
        runner, snippets, views=scoring.views, frames_at_once=scoring.frames_at_once
    )


@lru_cache(maxsize=1)
def _runner(model: str, weights_sha256: str, backend: Backend | None) -> Runner:
    keep_freed_memory()
    torch.set_num_threads(1)
    runner: Runner
    if Path(model).suffix in EXPORTED:
        exported = read_exported(Path(model), backend=backend, device="cpu")
        facts, runner = exported.facts, exported
    else:
        network = load_named(model)
        facts = facts_of(network)
        runner = runner_of(network, backend=backend, device="cpu")
    require_weights(model, facts.weights_sha256, weights_sha256)
    return runner
