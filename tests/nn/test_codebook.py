"""A codebook tells places by how they differ from what is common."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from marey.nn._codebook import Codebook

NUMBERS, WORDS = 3, 4


def two_words() -> Codebook:
    """Return a book of one axis with words at -10 and 10, of variance 4, as likely each."""
    made = Codebook(1, axes=1, words=2)
    made.means.copy_(torch.tensor([[-10.0], [10.0]]))
    made.variances.fill_(4.0)
    return made


def test_places_are_told_by_the_root_of_how_far_they_lie_from_their_word() -> None:
    # By hand: two places, one at its word's mean, one 6 past it. (0 + 6) / 2 places / root of the
    # variance 4 / root of the word's share 1/2 is 3 * 2**0.5 / 2, and nothing belongs to the other.
    told = two_words()(torch.tensor([[[10.0, 16.0]]]))
    assert told[0, 0].item() == pytest.approx(0, abs=1e-6)
    assert told[0, 1].item() == pytest.approx((3 / 2 * 2**0.5) ** 0.5)


def test_places_around_a_word_cancel_out_and_others_keep_their_sign() -> None:
    told = two_words()(torch.tensor([[[9.0, 11.0]], [[-11.0, -13.0]]]))
    torch.testing.assert_close(told[0], torch.zeros(2), rtol=0, atol=1e-3)
    assert told[1, 0].item() == pytest.approx(-((2 / 2 * 2**0.5) ** 0.5))


@given(seed=st.integers(0, 1000), count=st.integers(1, 9))
def test_the_order_of_places_and_showing_all_twice_change_nothing(seed: int, count: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    made = Codebook(NUMBERS, axes=2, words=WORDS)
    made.fit(torch.randn(50, NUMBERS, generator=generator))
    places = torch.randn(2, NUMBERS, count, generator=generator)
    told = made(places)
    assert tuple(told.shape) == (2, made.length)
    shuffled = places[:, :, torch.randperm(count, generator=generator)]
    # Roots of what is nearly nothing tell the rounding of sums apart.
    torch.testing.assert_close(made(shuffled), told, rtol=1e-3, atol=3e-3)
    torch.testing.assert_close(made(torch.cat([places, places], dim=2)), told, rtol=1e-3, atol=3e-3)


def test_fitted_to_two_clouds_words_lie_in_both_and_know_their_shares() -> None:
    torch.manual_seed(0)
    left, right = torch.randn(300, 2) - 20, torch.randn(100, 2) + 20
    made = Codebook(2, axes=2, words=8)
    made.fit(torch.cat([left, right]))
    side = made._on_axes(right).mean(dim=0)
    near_right = (made.means - side).square().sum(dim=1) < 1
    assert made.shares[near_right].sum().item() == pytest.approx(0.25, abs=1e-3)
    torch.testing.assert_close(made.shares.sum(), torch.tensor(1.0))


def test_on_its_axes_the_places_it_is_fitted_to_spread_by_one() -> None:
    torch.manual_seed(0)
    places = torch.randn(500, 5) @ torch.randn(5, 5) + 3
    made = Codebook(5, axes=5, words=WORDS)
    made.fit(places)
    on_axes = made._on_axes(places)
    torch.testing.assert_close(on_axes.T @ on_axes / 500, torch.eye(5), rtol=1e-3, atol=1e-3)


def test_the_same_places_give_the_same_book() -> None:
    places = torch.randn(60, NUMBERS)
    one, two = Codebook(NUMBERS, words=WORDS), Codebook(NUMBERS, words=WORDS)
    one.fit(places)
    two.fit(places)
    for name, tensor in one.state_dict().items():
        assert torch.equal(tensor, two.state_dict()[name]), name


@pytest.mark.parametrize("count", [1, 2, 5])
def test_fewer_places_than_words_or_numbers_give_a_book_all_the_same(count: int) -> None:
    made = Codebook(8, words=16)
    places = torch.randn(count, 8)
    made.fit(places)
    assert made(places[:, :, None]).isfinite().all()


def test_places_that_are_all_alike_give_a_book_all_the_same() -> None:
    made = Codebook(8, words=16)
    made.fit(torch.ones(30, 8))
    assert made(torch.ones(2, 8, 3)).isfinite().all()
