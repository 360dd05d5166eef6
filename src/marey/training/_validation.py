"""What held-out videos say of a network in training. Axes: N videos, Y classes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32, Int64, UInt8
from torch import Tensor
from torch.nn import functional as F

from marey.data import Source, part_of
from marey.errors import MareyError
from marey.evaluation import (
    Views,
    fit_head_weights,
    fuse_heads,
    score_snippets,
    snippets_of,
    top_k_accuracy,
)
from marey.index import Entry, Index
from marey.models import Network, for_inference, load_tensors, save_tensors
from marey.ranks import ALONE, Ranks

from ._run_folder import RunFolder

# One look at each video: quick, and the same at every epoch.
HELD_OUT_VIEWS = Views(snippets=25, crops=1)


@dataclass(frozen=True, slots=True)
class Validation:
    """Logits of the held-out videos and what they come to."""

    heads: Mapping[str, Float32[np.ndarray, "N Y"]]
    labels: Int64[np.ndarray, " N"]
    accuracy: float
    """Share recognised by the heads together."""

    loss: float
    """Their cross-entropy."""

    by_head: Mapping[str, float]
    """Share recognised by each head alone, by `accuracy_<head>`."""

    weights: Mapping[str, float]
    """Of each head, fitted on these videos."""


Look = Callable[[Entry], Mapping[str, Float32[np.ndarray, " Y"]]]
"""From a held-out video to the logits of each head."""


def looking_at_videos(model: Network, held_out: Index, source: Source) -> Look:
    """Return a look at the video itself, once, at the centre of its frames."""
    network = for_inference(model)

    def look(entry: Entry) -> Mapping[str, Float32[np.ndarray, " Y"]]:
        return score_snippets(
            network, centre_snippets(network, held_out, entry, source), views=HELD_OUT_VIEWS
        )

    return look


def centre_snippets(
    network: Network, held_out: Index, entry: Entry, source: Source
) -> UInt8[Tensor, "K C H W"]:
    """Return the snippets that validation sees of a video, in bytes."""
    with source.open(held_out, entry) as whole:
        return snippets_of(
            part_of(whole, start=entry.start, end=entry.end),
            views=HELD_OUT_VIEWS,
            preprocessing=network.preprocessing,
            modality=network.modality,
        )


def validate(held_out: Index, look: Look, ranks: Ranks = ALONE) -> Validation:
    """Look at every held-out video, each process at its share, and compare."""
    rows = [look(held_out.entries[number]) for number in ranks.share(len(held_out.entries))]
    seen = {head: torch.from_numpy(np.stack([row[head] for row in rows])) for head in _of(rows)}
    shares = [share for share, _ in ranks.gather(seen) if share]
    heads = {head: torch.cat([share[head] for share in shares]).numpy() for head in shares[0]}
    labels = np.array(held_out.labels, dtype=np.int64)
    weights = fit_head_weights(heads, labels)
    fused = fuse_heads(heads, weights)
    loss = F.cross_entropy(torch.from_numpy(fused), torch.from_numpy(labels))
    return Validation(
        heads=heads,
        labels=labels,
        accuracy=top_k_accuracy(fused, labels, k=1),
        loss=float(loss),
        by_head={
            f"accuracy_{head}": top_k_accuracy(logits, labels, k=1)
            for head, logits in heads.items()
        },
        weights=weights,
    )


def _of(rows: list[Mapping[str, Float32[np.ndarray, " Y"]]]) -> list[str]:
    """Return the names of the heads, none if there is no row."""
    return list(rows[0]) if rows else []


def save_validation(seen: Validation, folder: RunFolder) -> None:
    """Keep what the held-out videos say of the finished network."""
    tensors = {f"head.{name}": torch.from_numpy(logits) for name, logits in seen.heads.items()}
    tensors["labels"] = torch.from_numpy(seen.labels)
    said = {"accuracy": seen.accuracy, "loss": seen.loss, "by_head": dict(seen.by_head)}
    said["weights"] = dict(seen.weights)
    save_tensors(folder.validation, tensors, said | {"heads": list(seen.heads)})


def load_validation(folder: RunFolder) -> Validation | None:
    """Return what `save_validation` kept, or nothing if that or the network is not intact."""
    try:
        load_tensors(folder.model)
        tensors, said = load_tensors(folder.validation)
    except MareyError:
        return None
    return Validation(
        heads={name: tensors[f"head.{name}"].numpy() for name in said["heads"]},
        labels=tensors["labels"].numpy(),
        accuracy=said["accuracy"],
        loss=said["loss"],
        by_head=said["by_head"],
        weights=said["weights"],
    )
