"""Stretches of actions follow from probabilities, without flicker."""

from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marey.streaming import _smoothing
from marey.streaming._smoothing import runs

A, B, NONE = 0, 1, 2
SURE_A, SURE_B, NEITHER = [0.9, 0.1], [0.1, 0.9], [0.5, 0.5]


def course(*stretches: tuple[list[float], int]) -> list[np.ndarray]:
    return [np.array(row) for row, count in stretches for _ in range(count)]


def test_each_action_is_a_run_with_its_mean_probability() -> None:
    found = list(runs(course((SURE_A, 30), (SURE_B, 40)), unsure=0.6, hold=5.0))
    assert [(run.first, run.end, run.state) for run in found] == [(0, 30, A), (30, 70, B)]
    assert [run.probability for run in found] == pytest.approx([0.9, 0.9])


def test_where_no_class_is_probable_there_is_none() -> None:
    found = list(runs(course((SURE_A, 30), (NEITHER, 40), (SURE_B, 30)), unsure=0.6, hold=5.0))
    assert [(run.first, run.end, run.state) for run in found] == [
        (0, 30, A),
        (30, 70, NONE),
        (70, 100, B),
    ]
    assert found[1].probability == pytest.approx(0.5)


@pytest.mark.parametrize(("length", "believed"), [(9, False), (11, True)])
def test_what_is_twice_as_probable_must_last_to_be_believed(length: int, believed: bool) -> None:
    row, other = [0.6, 0.3], [0.3, 0.6]
    found = list(runs(course((row, 50), (other, length), (row, 50)), unsure=0.01, hold=10.0))
    assert len(found) == (3 if believed else 1)


def test_no_moments_have_no_runs() -> None:
    assert list(runs([], unsure=0.5, hold=3.0)) == []


def test_a_class_that_was_never_possible_can_still_come() -> None:
    found = list(runs(course(([1.0, 0.0], 50), ([0.0, 1.0], 50)), unsure=0.5, hold=5.0))
    assert [run.state for run in found] == [A, B]


def best_score(rows: list[np.ndarray], unsure: float, hold: float) -> float:
    """Try all courses."""
    gains = [np.log(np.append(np.maximum(row, 1e-6), unsure)) for row in rows]
    return max(score(path, gains, hold) for path in product(range(len(gains[0])), repeat=len(rows)))


def score(path, gains: list[np.ndarray], hold: float) -> float:
    changes = sum(a != b for a, b in pairwise(path))
    return (
        sum(gain[s] for gain, s in zip(gains, path, strict=True)) - changes * hold * np.log(2) / 2
    )


@given(
    values=st.lists(st.floats(0.01, 0.99), min_size=1, max_size=7),
    unsure=st.floats(0.05, 0.95),
    hold=st.floats(0, 6),
)
def test_no_course_is_better(values: list[float], unsure: float, hold: float) -> None:
    rows = [np.array([value, 1 - value]) for value in values]
    found = list(runs(rows, unsure=unsure, hold=hold))
    path = [run.state for run in found for _ in range(run.first, run.end)]
    gains = [np.log(np.append(row, unsure)) for row in rows]
    assert len(path) == len(rows)
    assert score(path, gains, hold) == pytest.approx(best_score(rows, unsure, hold))


@given(seed=st.integers(0, 1000), count=st.integers(100, 400))
def test_deciding_early_changes_nothing(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    rows = list(rng.dirichlet([0.5, 0.5, 0.5], size=count))
    found = list(runs(rows, unsure=0.5, hold=4.0))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("marey.streaming._smoothing._decided", lambda back: [])
        late = list(runs(rows, unsure=0.5, hold=4.0))
    assert found == late
    assert found[0].first == 0
    assert found[-1].end == count
    ends = pairwise(found)
    assert all(a.end == b.first and a.state != b.state for a, b in ends)


def test_a_decided_course_leaves_memory() -> None:
    lengths = []

    def rows():
        for number in range(4000):
            yield np.array(SURE_A if number // 100 % 2 else SURE_B)

    with pytest.MonkeyPatch.context() as patch:
        decided = _smoothing._decided
        patch.setattr(
            _smoothing, "_decided", lambda back: lengths.append(len(back)) or decided(back)
        )
        assert len(list(runs(rows(), unsure=0.5, hold=5.0))) == 40
    assert max(lengths) <= 512
