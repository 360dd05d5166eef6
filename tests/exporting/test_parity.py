"""How far two networks are apart is the largest difference of a probability."""

import math

import pytest
import torch
from torch import Tensor

from marey.data import Preprocessing
from marey.exporting._parity import largest_difference

PIXELS = Preprocessing(colour="rgb", mean=(0.0,), std=(1.0,), size=4, short_side=4)


class Fixed:
    """A runner that always says the same."""

    modality = "rgb"
    preprocessing = PIXELS
    sees_motion = True
    device = torch.device("cpu")

    def __init__(self, **heads: list[float]) -> None:
        self._heads = heads

    def __call__(self, clips: Tensor, /) -> dict[str, Tensor]:
        snippets = clips.shape[1]
        counts = {"tsn": snippets, "off7": snippets - 1}
        return {
            head: torch.tensor(logits).expand(len(clips), counts[head], -1)
            for head, logits in self._heads.items()
        }


SNIPPETS = torch.zeros(3, 3, 4, 4, dtype=torch.uint8)


def test_the_difference_is_that_of_the_worst_head() -> None:
    ours = Fixed(tsn=[0.0, 0.0], off7=[math.log(3), 0.0])
    theirs = Fixed(tsn=[0.0, 0.0], off7=[0.0, 0.0])
    # Head off7: 3/4 against 1/2; together, it counts for nothing.
    fusion = {"tsn": 1.0, "off7": 0.0}
    assert largest_difference(ours, theirs, [SNIPPETS], fusion=fusion) == pytest.approx(0.25)


def test_heads_that_add_up_differ_together() -> None:
    ours = Fixed(tsn=[math.log(2), 0.0], off7=[math.log(2), 0.0])
    theirs = Fixed(tsn=[0.0, 0.0], off7=[0.0, 0.0])
    # Each head: 2/3 against 1/2; together: 4/5 against 1/2.
    fusion = {"tsn": 1.0, "off7": 1.0}
    assert largest_difference(ours, theirs, [SNIPPETS], fusion=fusion) == pytest.approx(0.3)


def test_the_worst_clip_counts_and_nothing_is_like_a_nan() -> None:
    same = Fixed(tsn=[1.0, 0.0])
    broken = Fixed(tsn=[math.nan, 0.0])
    assert largest_difference(same, same, [SNIPPETS] * 2, fusion={}) == 0
    assert largest_difference(broken, same, [SNIPPETS], fusion={}) == math.inf
