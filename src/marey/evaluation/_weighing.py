"""How much each stream counts, and who says so. Axes: N videos, Y classes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from marey.errors import UsageError

from ._agreement import require_same_classes, require_same_views
from ._fusion import fit_head_weights, head_weights
from ._join import Joined, join, shared_videos
from ._score_file import ScoreFile


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighing:
    """A weight for each stream, in their order."""

    weights: tuple[float, ...]

    found: Literal["equal", "given", "own", "held-out", "test"]
    """Where they come from; `test` is videos of a test split."""

    said: str
    """The same for people."""

    optimistic: bool = False
    """Whether the accuracy is better than it would be on new videos."""


def equal_weights(joined: Joined) -> Weighing:
    """Return a weight of one for every stream."""
    return Weighing(
        weights=(1.0,) * len(joined.streams),
        found="equal",
        said="equal weights: the plain sum of the scores, none of them scaled",
    )


def given_weights(joined: Joined, weights: Sequence[float]) -> Weighing:
    """Return the given weights, one for each stream in their order.

    Raises:
        UsageError: They are too few or too many, negative, no numbers, or all zero.
    """
    streams = "\n  ".join(stream.name for stream in joined.streams)
    if len(weights) != len(joined.streams):
        raise UsageError(
            f"got {len(weights)} weights for {len(joined.streams)} streams; "
            f"give one for each, in this order:\n  {streams}"
        )
    wrong = [weight for weight in weights if not 0 <= weight < math.inf]
    if wrong or not any(weights):
        said = f"got {wrong[0]:g}" if wrong else "and not all of them 0"
        raise UsageError(f"weights are numbers from 0 up, {said}")
    return Weighing(weights=tuple(weights), found="given", said="weights as given")


def own_weights(files: Sequence[ScoreFile]) -> Weighing:
    """Return the weights that each file's network has for its own heads.

    Raises:
        UsageError: The heads of a file have no weights of their own.
    """
    weights: list[float] = []
    borrowed: list[str] = []
    for file in files:
        fusion = file.meta.get("fusion") or {}
        own = head_weights(file.heads, fusion)
        if len(file.heads) == 1 and not own:
            own = dict.fromkeys(file.heads, 1.0)
        if len(file.heads) > 1 and not fusion:
            borrowed.append(file.path.name)
        strange = [head for head in file.heads if head not in own]
        if strange:
            raise UsageError(
                f"{file.path}: has no weight of its own for the head {strange[0]}; "
                "give numbers instead: --weights 1 1.5 ..."
            )
        weights += [own[head] for head in file.heads]
    return Weighing(
        weights=tuple(weights),
        found="own",
        said="each file's own weights of its heads; the files are summed as they are"
        + f" (published shares for {', '.join(borrowed)}, which has none)" * bool(borrowed),
    )


def weights_on_test(joined: Joined) -> Weighing:
    """Return the weights under which the labels of these very videos are likeliest."""
    return Weighing(
        weights=_fitted(joined),
        found="test",
        said="weights fitted on the very videos they are judged on (--on-test): this accuracy is "
        "optimistic; find them with --held-out for one that is not",
        optimistic=True,
    )


def held_out_weights(
    joined: Joined,
    files: Sequence[ScoreFile],
    held_out: Sequence[ScoreFile],
    *,
    on_test: bool = False,
) -> Weighing:
    """Return the weights under which the labels of held-out videos are likeliest.

    Neither scores nor labels of the joined videos have a part in it.

    Args:
        joined: The streams to weigh.
        files: What they came from.
        held_out: Scores of the same heads for other videos. Files of ours are told by the hash
            of the network's weights, other files by their order.
        on_test: Take videos of a test split too, and even the joined videos.

    Raises:
        UsageError: A stream has no held-out scores, these look in another way or tell other
            classes apart, or they are of test videos.
    """
    matched = _matched(files, held_out)
    together = join(matched)
    paths = ", ".join(dict.fromkeys(str(file.path) for file in matched))
    names = ", ".join(dict.fromkeys(file.path.name for file in matched))
    said = f"weights found on {len(together.videos)} held-out videos of {names}"
    unfit = _unfit(joined, together)
    if unfit and not on_test:
        raise UsageError(
            f"{paths}: {unfit}, and weights found on test videos flatter the result; "
            "score held-out training videos: marey test MODEL INDEX --split val; or add --on-test"
        )
    if unfit:
        said = f"weights fitted on test videos (--on-test; {unfit}): this accuracy is optimistic"
    elif together.meta.get("split") == "train":
        said += "; of the split train: do the networks know them by heart?"
    return Weighing(
        weights=_fitted(together),
        found="test" if unfit else "held-out",
        said=said,
        optimistic=bool(unfit),
    )


def _fitted(joined: Joined) -> tuple[float, ...]:
    """Return the likeliest weights; streams are first brought to one scale, without offset."""
    centred = {
        stream.name: stream.scores - stream.scores.mean(axis=1, keepdims=True, dtype=np.float64)
        for stream in joined.streams
    }
    spread = {name: float(scores.std()) or 1.0 for name, scores in centred.items()}
    fitted = fit_head_weights(
        {name: (scores / spread[name]).astype(np.float32) for name, scores in centred.items()},
        joined.labels,
    )
    return tuple(float(f"{weight / spread[name]:.6g}") for name, weight in fitted.items())


def _matched(files: Sequence[ScoreFile], held_out: Sequence[ScoreFile]) -> list[ScoreFile]:
    """Return for each stream the held-out file of its head, with that head alone."""
    unsigned = list(dict.fromkeys(f.path for f in files if not _network(f)))
    others = list(dict.fromkeys(f.path for f in held_out if not _network(f)))
    if len(unsigned) != len(others):
        raise UsageError(
            f"{len(others)} held-out files for {len(unsigned)} files that do not tell their "
            f"network ({', '.join(map(str, unsigned)) or 'none'}); give one for each, in this order"
        )
    pairs = dict(zip(unsigned, others, strict=True))
    matched: list[ScoreFile] = []
    for file in files:
        network = _network(file)
        for head in file.heads:
            found = [
                held
                for held in held_out
                if head in held.heads
                and (_network(held) == network if network else held.path == pairs[file.path])
            ]
            if len(found) != 1:
                raise UsageError(_unmatched(file, head, found, pairs.get(file.path)))
            require_same_classes(file, found[0])
            require_same_views(file, found[0])
            matched.append(found[0].only([head]))
    return matched


def _network(file: ScoreFile) -> str | None:
    """Return the hash of the network's weights, if the file tells it."""
    return file.meta.get("weights_sha256") or None


def _unmatched(file: ScoreFile, head: str, found: Sequence[ScoreFile], pair: Path | None) -> str:
    """Return what to say of a stream with no held-out scores, or with several."""
    network = file.meta.get("model")
    which = f"head {head} of the network of {file.path}" + f" ({network})" * bool(network)
    if found:
        paths = ", ".join(str(held.path) for held in found)
        return f"--held-out has {which} {len(found)} times: {paths}; give it once"
    if pair is not None:
        return f"{pair}: no head {head!r}, as {file.path} has, which it is held out for"
    return (
        f"--held-out has no scores of {which}; make them with the same checkpoint: "
        "marey test MODEL INDEX --split val"
    )


def _unfit(joined: Joined, held_out: Joined) -> str:
    """Return why videos are not held out from those judged, or nothing."""
    if held_out.meta.get("split") == "test":
        return "they are of the split 'test'"
    if not (joined.named and held_out.named):
        return "without names, nobody can tell their videos from those judged"
    shared = shared_videos(joined, held_out)
    if shared:
        return (
            f"{len(shared)} of their {len(held_out.videos)} videos are among those judged, "
            f"such as {shared[0]!r}"
        )
    return ""
