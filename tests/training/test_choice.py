"""What held-out clips choose, and that no clip has a say in its own answer."""

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from marey.training._choice import Answers, choose, cross_fitted, fill_rows

LABELS = np.array([0, 1, 0, 1, 0, 1, 0, 1])
FOLDS = np.array([0, 0, 1, 1, 2, 2, 3, 3])


def heads(*sure: float, seed: int = 0) -> dict[str, np.ndarray]:
    """Return logits of heads that are so sure of the labels, with noise of one."""
    rng = np.random.default_rng(seed)
    truth = np.eye(2, dtype=np.float32)[LABELS]
    return {
        f"head{number}": (much * truth + rng.normal(size=truth.shape)).astype(np.float32)
        for number, much in enumerate(sure)
    }


def test_the_passes_after_which_labels_are_likeliest_are_chosen() -> None:
    answers = {4: heads(0.0, 0.0), 8: heads(6.0, 0.0), 12: heads(1.0, 0.0)}
    passes, weights = choose(answers, LABELS)
    assert passes == 8
    assert weights["head0"] > weights["head1"]


def test_of_equal_passes_the_fewest_are_chosen() -> None:
    same = heads(2.0)
    assert choose({12: same, 4: same, 8: same}, LABELS)[0] == 4


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 3), st.integers(0, 99))
def test_labels_of_a_fold_have_no_say_in_its_own_answers(fold: int, seed: int) -> None:
    answers: Answers = {4: heads(1.0, 0.5, seed=seed), 8: heads(0.5, 2.0, seed=seed + 1)}
    lies = np.where(fold == FOLDS, 1 - LABELS, LABELS)
    honest, lied = cross_fitted(answers, LABELS, FOLDS), cross_fitted(answers, lies, FOLDS)
    assert np.array_equal(honest[fold == FOLDS], lied[fold == FOLDS])
    assert not np.array_equal(honest[fold != FOLDS], lied[fold != FOLDS])


def test_an_answer_is_the_sum_of_heads_as_the_other_folds_weigh_them() -> None:
    answers = {4: heads(3.0, 1.0)}
    _, weights = choose({4: {name: rows[2:] for name, rows in answers[4].items()}}, LABELS[2:])
    expected: Any = sum(answers[4][name][:2] * weight for name, weight in weights.items())
    np.testing.assert_allclose(cross_fitted(answers, LABELS, FOLDS)[:2], expected, rtol=1e-5)


def test_rows_of_folds_make_up_the_whole() -> None:
    whole, answers = heads(1.0, 2.0), {}
    for fold in (2, 0, 3, 1):
        at = np.flatnonzero(fold == FOLDS)
        fill_rows(answers, {4: {name: rows[at] for name, rows in whole.items()}}, at, videos=8)
    assert all(np.array_equal(answers[4][name], whole[name]) for name in whole)
