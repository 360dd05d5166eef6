"""Scores of every video of an index, one after the other, resumable."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import astuple, dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, UInt8
from torch import Tensor, from_numpy

from marey.backends import Runner
from marey.data import Source, Videos, part_of
from marey.durable import complete_file, write_text
from marey.errors import UsageError, VideoError
from marey.index import Entry, Index
from marey.ranks import ALONE, Ranks

from ._scores import Scores
from ._views import Views, score_snippets, snippets_of

_OWNER = "question.txt"
"""Tells in the folder of answers which question they are to."""

Answers = Mapping[str, Float32[np.ndarray, " Y"]]

Elsewhere = Callable[[Sequence[Entry]], Iterator[tuple[int, Answers | VideoError]]]
"""Yields the place of each video among those given, and its answer, in any order."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A video that could not be scored."""

    video: str
    reason: str


def score_index(
    model: Runner,
    index: Index,
    *,
    views: Views,
    meta: dict[str, Any],
    unfinished: Path,
    frames_at_once: int | None = None,
    each: Callable[[Entry], None] = lambda entry: None,
    source: Source | None = None,
    elsewhere: Elsewhere | None = None,
    ranks: Ranks = ALONE,
) -> tuple[Scores, list[Failure]]:
    """Score all videos of an index and return the scores and what could not be scored.

    Each video's answer is kept in the folder `unfinished` until `discard` removes it, so an
    interrupted run goes on where it was. The folder belongs to one question: another model,
    index or way of looking starts it anew. Work in it within `alone_in`.

    Args:
        model: A network from `runner_of`, or one in eval mode.
        index: The videos.
        views: How each is looked at.
        meta: What makes this question differ from another, and is kept with the scores.
        unfinished: Where answers wait.
        frames_at_once: See `score_snippets`.
        each: Called after each video.
        source: Where the frames come from; the videos unless given.
        elsewhere: Answers for the model, which then is asked nothing, by other computers.
        ranks: The processes that score together, each with this call; all have the scores then.
    """
    with ranks.first_before_others():
        if ranks.is_first:
            _claim(unfinished, {"meta": meta, "views": views.as_json(), "videos": _paths(index)})
    if elsewhere is None:
        answered = _answered(
            model,
            index,
            views=views,
            unfinished=unfinished,
            frames_at_once=frames_at_once,
            source=source or Videos(),
            numbers=ranks.share(len(index.entries)),
        )
    else:
        answered = _answered_elsewhere(index, unfinished, elsewhere)
    rows, failures = _of_all(ranks, *_collected(answered, index, unfinished, each))
    if not rows:
        reasons = "; ".join(failure.reason for failure in failures[:3])
        raise VideoError(f"none of the {len(index.entries)} videos could be scored: {reasons}")
    scored = [number for number, _ in rows]
    return (
        Scores(
            videos=tuple(index.entries[number].path for number in scored),
            labels=np.array([index.labels[number] for number in scored], dtype=np.int64),
            classes=index.classes,
            heads={head: np.stack([answers[head] for _, answers in rows]) for head in rows[0][1]},
            meta={**meta, "views": views.as_json(), "unusable": [f.video for f in failures]},
        ),
        failures,
    )


def _collected(
    answered: Iterator[tuple[int, Answers | VideoError]],
    index: Index,
    unfinished: Path,
    each: Callable[[Entry], None],
) -> tuple[list[tuple[int, Answers]], list[Failure]]:
    """Keep answers as they come; return them, and what has none, in the order of the index."""
    rows: list[tuple[int, Answers]] = []
    failed: list[tuple[int, Failure]] = []
    for number, answers in answered:
        entry = index.entries[number]
        if isinstance(answers, VideoError):
            failed.append((number, Failure(entry.path, str(answers))))
        else:
            kept = _kept(unfinished, number)
            if not kept.exists():
                with complete_file(kept) as temporary, temporary.open("wb") as file:
                    np.savez(file, **dict[str, Any](answers))
            rows.append((number, answers))
        each(entry)
    rows.sort(key=itemgetter(0))
    return rows, [failure for _, failure in sorted(failed, key=itemgetter(0))]


def _of_all(
    ranks: Ranks, rows: list[tuple[int, Answers]], failures: list[Failure]
) -> tuple[list[tuple[int, Answers]], list[Failure]]:
    """Return the rows and failures of all processes; their shares follow each other."""
    if ranks.count == 1:
        return rows, failures
    heads = list(rows[0][1]) if rows else []
    stacked = {head: from_numpy(np.stack([answers[head] for _, answers in rows])) for head in heads}
    about = {"numbers": [number for number, _ in rows], "failures": [astuple(f) for f in failures]}
    rows, failures = [], []
    for tensors, told in ranks.gather(stacked, about):
        seen = {head: tensor.numpy() for head, tensor in tensors.items()}
        rows += [
            (number, {head: logits[place] for head, logits in seen.items()})
            for place, number in enumerate(told["numbers"])
        ]
        failures += [Failure(*failure) for failure in told["failures"]]
    return rows, failures


def ready_snippets(
    model: Runner, index: Index, entry: Entry, *, views: Views, source: Source
) -> UInt8[Tensor, "K C H W"]:
    """Return the snippets of a video of an index, as a network is shown them.

    Raises:
        VideoError: It has none.
    """
    with source.open(index, entry) as whole:
        return snippets_of(
            part_of(whole, start=entry.start, end=entry.end),
            views=views,
            preprocessing=model.preprocessing,
            modality=model.modality,
        )


def _answered(
    model: Runner,
    index: Index,
    *,
    views: Views,
    unfinished: Path,
    frames_at_once: int | None,
    source: Source,
    numbers: range,
) -> Iterator[tuple[int, Answers | VideoError]]:
    """Yield each video's answer, the next one decoding while this one is looked at."""

    def snippets(number: int) -> Tensor | VideoError | None:
        if _kept(unfinished, number).exists():
            return None
        try:
            ready = ready_snippets(model, index, index.entries[number], views=views, source=source)
        except VideoError as error:
            return error
        # From pinned memory a GPU fetches them by itself.
        return ready.pin_memory() if model.device.type == "cuda" else ready

    with ThreadPoolExecutor(max_workers=1) as pool:
        ahead = [pool.submit(snippets, number) for number in numbers[:2]]
        for number in numbers:
            ready = ahead.pop(0).result()
            if number + 2 < numbers.stop:
                ahead.append(pool.submit(snippets, number + 2))
            if isinstance(ready, VideoError):
                yield number, ready
            elif ready is None:
                yield number, _load(_kept(unfinished, number))
            else:
                yield (
                    number,
                    score_snippets(model, ready, views=views, frames_at_once=frames_at_once),
                )


def _answered_elsewhere(
    index: Index, unfinished: Path, elsewhere: Elsewhere
) -> Iterator[tuple[int, Answers | VideoError]]:
    """Yield answers that are there already, and then those of other computers."""
    missing = []
    for number in range(len(index.entries)):
        kept = _kept(unfinished, number)
        if kept.exists():
            yield number, _load(kept)
        else:
            missing.append(number)
    for place, answers in elsewhere([index.entries[number] for number in missing]):
        yield missing[place], answers


def _kept(unfinished: Path, number: int) -> Path:
    return unfinished / f"{number:08d}.npz"


def _claim(folder: Path, question: dict[str, Any]) -> None:
    """Make the folder, emptied if it holds answers to another question."""
    question_hash = hashlib.sha256(json.dumps(question, sort_keys=True).encode()).hexdigest()
    owner = folder / _OWNER
    names = [path.name for path in folder.iterdir()] if folder.exists() else []
    # A crash may have left the beginning of our own, whose name is hidden.
    if not owner.exists() and any(name != "lock" and name[0] != "." for name in names):
        raise UsageError(f"{folder}: holds something that is not ours; move it or choose another")
    if owner.exists() and owner.read_text() != question_hash:
        _empty(folder)
    write_text(owner, question_hash)


def discard(unfinished: Path) -> None:
    """Delete the folder of answers that are no longer needed."""
    _empty(unfinished)
    with suppress(OSError):  # Another process may be waiting for its turn there.
        (unfinished / "lock").unlink(missing_ok=True)
        unfinished.rmdir()


def _empty(folder: Path) -> None:
    """Delete the answers, and whose they were last, so that what a crash leaves is still ours."""
    for file in folder.iterdir():
        if file.name not in (_OWNER, "lock"):
            file.unlink()
    (folder / _OWNER).unlink()


def _paths(index: Index) -> list[list[Any]]:
    return [[entry.path, entry.start, entry.end] for entry in index.entries]


def _load(path: Path) -> Answers:
    with np.load(path, allow_pickle=False) as file:
        return {head: file[head] for head in file.files}
