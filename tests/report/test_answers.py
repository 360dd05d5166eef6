import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from marey.evaluation import top_k_accuracy
from marey.report._answers import (
    Pair,
    answers_of,
    class_rows,
    confused_pairs,
    confusion_of,
    examples_of,
    worst_videos,
)

# Six videos of three classes: classes 0, 0, 0, 1, 1, 2 answered with 0, 1, 1, 1, 0, 1.
LABELS = np.array([0, 0, 0, 1, 1, 2])
LOGITS = np.array(
    [[5, 1, 0], [1, 3, 0], [0, 4, 1], [0, 2, 1], [4, 1, 0], [0, 9, 1]], dtype=np.float32
)


@st.composite
def scored(draw):
    classes = draw(st.integers(2, 5))
    videos = draw(st.integers(1, 20))
    few = st.integers(-3, 3).map(float)  # So that ties are frequent.
    logits = draw(arrays(np.float32, (videos, classes), elements=few))
    return logits, draw(arrays(np.int64, videos, elements=st.integers(0, classes - 1)))


def test_the_confusion_matrix_counts_answers_by_class() -> None:
    confusion = confusion_of(answers_of(LOGITS, LABELS))
    assert confusion.tolist() == [[1, 2, 0], [1, 1, 0], [0, 1, 0]]


@given(scored())
def test_rows_of_the_matrix_sum_to_the_videos_of_each_class(case) -> None:
    logits, labels = case
    confusion = confusion_of(answers_of(logits, labels))
    assert confusion.sum(axis=1).tolist() == np.bincount(labels, minlength=logits.shape[1]).tolist()


@given(scored())
def test_right_is_what_accuracy_counts_ties_among_it(case) -> None:
    logits, labels = case
    answers = answers_of(logits, labels)
    assert answers.right.mean() == top_k_accuracy(logits, labels, k=1)
    assert (answers.right == (answers.margins > 0)).all()


def test_probabilities_are_the_softmax_of_the_logits() -> None:
    logits = np.log(np.array([[1, 2, 5], [6, 3, 1]])).astype(np.float32)
    probabilities = answers_of(logits, np.array([0, 1])).probabilities
    np.testing.assert_allclose(probabilities, [[0.125, 0.25, 0.625], [0.6, 0.3, 0.1]], rtol=1e-6)


def test_each_class_has_its_most_frequent_wrong_answer() -> None:
    rows = class_rows(confusion_of(answers_of(LOGITS, LABELS)))
    assert [(row.videos, row.right, row.wrong, row.wrong_count, row.falsely) for row in rows] == [
        (3, 1, 1, 2, 1),
        (2, 1, 0, 1, 3),
        (1, 0, 1, 1, 0),
    ]
    assert [row.accuracy for row in rows] == [1 / 3, 1 / 2, 0]


def test_a_class_without_videos_has_no_accuracy_and_one_without_mistakes_no_wrong_answer() -> None:
    rows = class_rows(np.array([[2, 0], [0, 0]]))
    assert (rows[0].accuracy, rows[0].wrong) == (1, None)
    assert (rows[1].accuracy, rows[1].wrong) == (None, None)


def test_pairs_are_ordered_by_mistakes_both_ways() -> None:
    confusion = np.array([[5, 2, 0], [2, 5, 3], [0, 0, 5]])
    pairs = confused_pairs(confusion, at_most=9)
    assert pairs == [Pair(0, 1, 2, 2), Pair(1, 2, 3, 0)]
    assert confused_pairs(confusion, at_most=1) == pairs[:1]


def test_examples_come_from_either_direction_in_turn_and_from_a_recording_once() -> None:
    answers = answers_of(LOGITS, LABELS)
    pair = Pair(0, 1, 2, 1)
    # Videos 2 and 1 are class 0 answered with 1, by margins -4 and -2; video 4 the reverse.
    assert examples_of(answers, pair, list("abcdef"), at_most=4) == [2, 4, 1]
    assert examples_of(answers, pair, list("abbdef"), at_most=4) == [2, 4]
    assert examples_of(answers, pair, list("abcdef"), at_most=1) == [2]


def test_the_worst_videos_are_those_furthest_behind() -> None:
    # Margins: 4, -2, -4, 1, -3, -8.
    assert worst_videos(answers_of(LOGITS, LABELS), at_most=4) == [5, 2, 4, 1]
