"""What a window says of the order in which things come."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from marey.nn import ORDER, lateness
from marey.streaming._evidence import Evidence
from marey.streaming._sight import Sight


def window(rows: np.ndarray, *, chains: int = 1, half_life: float = math.inf) -> np.ndarray:
    """Return what a window says that holds these rows of logits, one a second."""
    evidence = Evidence(window=math.inf, half_life=half_life, fusion={})
    for number, row in enumerate(rows):
        heads = {"tsn": torch.zeros(len(row)), ORDER: torch.from_numpy(row)}
        evidence.add(Sight(float(number), heads, number % chains))
    return evidence.logits()[ORDER]


def drawn(pairs: int) -> np.ndarray:
    return np.random.default_rng(pairs).normal(size=(pairs, 3)).astype(np.float32)


@pytest.mark.parametrize("chains", [1, 2, 3])
def test_every_chain_is_weighed_as_a_test_weighs_its_pairs(chains: int) -> None:
    rows = drawn(8)
    expected = np.zeros(3)
    for first in range(chains):
        chain = torch.from_numpy(rows[first::chains])
        expected += (chain * lateness(len(chain), like=chain)[:, None]).sum(dim=0).numpy()
    assert window(rows, chains=chains) == pytest.approx(expected / 8, abs=1e-6)


@given(
    pairs=st.integers(1, 30),
    chains=st.integers(1, 4),
    half_life=st.one_of(st.just(math.inf), st.floats(0.5, 100)),
)
def test_what_stays_the_same_says_nothing_of_an_order(
    pairs: int, chains: int, half_life: float
) -> None:
    same = np.repeat(drawn(1), pairs, axis=0)
    said = window(same, chains=chains, half_life=half_life)
    assert said == pytest.approx(np.zeros(3), abs=1e-5)


def test_backwards_a_window_says_the_opposite() -> None:
    rows = drawn(9)
    assert window(rows[::-1]) == pytest.approx(-window(rows), abs=1e-6)
    assert np.abs(window(rows)).max() > 0.05


def test_what_is_nearly_forgotten_has_little_say() -> None:
    rows = drawn(12)
    changed = rows.copy()
    changed[0] += 5
    assert np.abs(window(changed) - window(rows)).max() > 0.3
    apart = window(changed, half_life=1.0) - window(rows, half_life=1.0)
    assert np.abs(apart).max() < 0.02


def test_one_pair_has_no_order() -> None:
    assert window(drawn(1)) == pytest.approx(np.zeros(3), abs=0)
