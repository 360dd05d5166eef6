import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from marey.evaluation import mean_class_accuracy, measure, top_k_accuracy

SCORES = np.array([[3.0, 2.0, 1.0], [1.0, 3.0, 2.0], [3.0, 1.0, 2.0], [3.0, 2.0, 1.0]])
LABELS = np.array([0, 1, 2, 2])


def test_top_k_counts_labels_among_the_highest() -> None:
    assert top_k_accuracy(SCORES, LABELS, k=1) == 0.5
    assert top_k_accuracy(SCORES, LABELS, k=2) == 0.75
    assert top_k_accuracy(SCORES, LABELS, k=3) == 1.0


def test_classes_count_alike_however_many_videos_they_have() -> None:
    assert mean_class_accuracy(SCORES, LABELS) == (1 + 1 + 0) / 3


def test_a_network_that_cannot_tell_gets_nothing() -> None:
    assert top_k_accuracy(np.zeros((4, 3)), LABELS, k=1) == 0.0


@given(st.permutations(range(4)))
def test_the_order_of_videos_does_not_matter(order: list[int]) -> None:
    shuffled = measure(SCORES[list(order)], LABELS[list(order)])
    assert shuffled == measure(SCORES, LABELS)
