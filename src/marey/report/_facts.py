"""What a result was measured on and with, in words."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ._footage import Footage
from ._results import Result
from ._streams import Streams

Fact = tuple[str, str]
"""A term and what it is."""

_FOUND = {
    "given": "given by hand",
    "equal": "equal for all streams",
    "own": "each stream's own",
    "held-out": "found on held-out videos",
    "test": "found on the tested videos themselves",
}
_OVER_CROPS = {"max": "the highest logit over crops", "mean": "the mean over crops"}


def facts_of(
    result: Result, streams: Streams, footage: Footage | None, *, times: int, seed: int
) -> list[Fact]:
    """Return what a reader must know to repeat the main figure."""
    meta, scores = result.scores.meta, result.scores
    facts = [("Scores", result.file)]
    if footage:
        facts.append(("Index", footage.name))
    split = f" of split {meta['split']}" if meta.get("split") else ""
    facts.append(("Videos", f"{len(scores.videos):,}{split}, in {len(scores.classes)} classes"))
    facts += [*_network(meta), *_views(meta.get("views")), *_weights(result)]
    drawn = f"{streams.groups:,} {'recordings' if streams.grouped else 'videos'}"
    facts.append(("Intervals", f"95 %, bootstrap, {times:,} draws of {drawn}, seed {seed}"))
    return [*facts, *_hashes(meta)]


def _hashes(meta: Mapping[str, Any]) -> Iterator[Fact]:
    if meta.get("weights_sha256"):
        yield "Weights, SHA-256", str(meta["weights_sha256"])
    files = {
        str(stream.get("file", stream.get("name"))): str(stream["weights_sha256"])
        for stream in _dicts(meta.get("streams"))
        if stream.get("weights_sha256")
    }
    for file, sha256 in files.items():
        yield f"Weights of {file}, SHA-256", sha256
    if meta.get("index_sha256"):
        yield "Index, SHA-256", str(meta["index_sha256"])


def _network(meta: Mapping[str, Any]) -> Iterator[Fact]:
    streams = _dicts(meta.get("streams"))
    if meta.get("model") and not streams:
        modality = f", {meta['modality']}" if meta.get("modality") else ""
        yield "Network", f"{meta['model']}{modality}"
    for stream in streams:
        said = [str(stream[key]) for key in ("model", "modality") if stream.get(key)]
        weight = _number(stream.get("weight"))
        yield f"Stream {stream.get('name', '')}", ", ".join([f"weight {weight}", *said])


def _views(views: Any) -> Iterator[Fact]:
    if isinstance(views, Mapping) and {"snippets", "crops"} <= set(views):
        crops = "1 crop" if views["crops"] == 1 else f"{views['crops']} crops"
        over = _OVER_CROPS.get(str(views.get("over_crops")), "")
        over = f", {over}" if over and views["crops"] != 1 else ""
        yield "Views", f"{views['snippets']} snippets, {crops}{over}"


def _weights(result: Result) -> Iterator[Fact]:
    found = result.scores.meta.get("weights_from")
    if found:
        said = result.scores.meta.get("weights_note") or _FOUND.get(str(found), found)
        yield "Weights of streams", str(said)
    if len(result.weights) > 1:
        sum_ = " + ".join(f"{_number(weight)} {head}" for head, weight in result.weights.items())
        fitted = bool(result.scores.meta.get("fusion"))
        source = "from the checkpoint, fitted on held-out videos" if fitted else "published shares"
        yield "Sum of heads", f"{sum_}; {source}"


def warnings_of(results: Sequence[Result], streams: Streams, footage: Footage | None) -> list[str]:
    """Return what keeps the figures from meaning what they seem to."""
    warnings = [
        f"{result.file}: the weights of its streams were found on test videos, so "
        "its accuracy flatters. Find weights on held-out videos instead."
        for result in results
        if result.scores.meta.get("weights_from") == "test" or result.scores.meta.get("optimistic")
    ]
    if footage and not footage.made_with:
        warnings.append(
            f"{footage.name} is not the index that the scores were made with: its fingerprint "
            "differs. Paths and labels of the scored videos agree."
        )
    for result in results:
        count = len(unscored(result))
        if count == 1:
            warnings.append(
                f"{result.file}: a video could not be scored, and no figure counts it. It is "
                "named at the end."
            )
        elif count:
            warnings.append(
                f"{result.file}: {count} videos could not be scored, and no figure counts them. "
                "They are named at the end."
            )
    if len({stream.metrics.videos for stream in streams.rows}) > 1:
        warnings.append(
            "The files do not hold the same videos. Each accuracy is over its own; differences "
            "are over those that both have."
        )
    return warnings


def unscored(result: Result) -> list[str]:
    """Return the videos that were meant to be scored, and could not be."""
    videos = result.scores.meta.get("unusable")
    return [str(video) for video in videos] if isinstance(videos, list) else []


def _dicts(value: Any) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def _number(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, int | float) else str(value)
