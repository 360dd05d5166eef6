import numpy as np
import pytest

from marey.errors import UsageError
from marey.evaluation import fit_head_weights, fuse_heads, head_weights


def test_heads_are_summed_with_their_weights() -> None:
    heads = {"tsn": np.array([[1.0, 0.0]]), "off7": np.array([[0.0, 2.0]])}
    assert fuse_heads(heads, {"tsn": 3.0, "off7": 0.5}).tolist() == [[3.0, 1.0]]


def test_a_weight_for_no_head_is_refused() -> None:
    with pytest.raises(UsageError, match="no head off28 to weigh; there are tsn"):
        fuse_heads({"tsn": np.zeros((1, 2))}, {"off28": 1.0})


def test_published_shares_of_the_heads_there_are_sum_to_one() -> None:
    assert head_weights(["tsn"], {}) == {"tsn": 1.0}
    assert head_weights(["tsn", "off7", "off14"], {}) == {"tsn": 0.25, "off7": 0.5, "off14": 0.25}


def test_a_head_that_knows_outweighs_one_that_guesses() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 5, size=200)
    knows = (np.eye(5)[labels] * 3 + rng.normal(size=(200, 5))).astype(np.float32)
    guesses = rng.normal(size=(200, 5)).astype(np.float32)
    weights = fit_head_weights({"knows": knows, "guesses": guesses}, labels)
    assert weights["knows"] > 10 * weights["guesses"] >= 0


def test_fused_probabilities_are_as_sure_as_they_are_right() -> None:
    # Logits three times too sure: the weights must bring them down by about that.
    rng = np.random.default_rng(1)
    honest = rng.normal(size=(4000, 4)) * 1.5
    shares = np.exp(honest) / np.exp(honest).sum(axis=1, keepdims=True)
    labels = np.array([rng.choice(4, p=share) for share in shares])
    weights = fit_head_weights({"sure": (3 * honest).astype(np.float32)}, labels)
    assert weights["sure"] == pytest.approx(1 / 3, rel=0.1)
