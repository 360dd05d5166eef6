"""A pooled branch classifies sums of derivatives, and places that change, of a few maps."""

import pytest
import torch
from torch import nn

from marey.nn import PooledBranch
from marey.nn._pooled_branch import SUMS, PairsRead, places_of, sums_of

CHANNELS, MIDDLE, SNIPPETS, VIDEOS = 6, 5, 4, 3


def branch(dropout: float = 0.8) -> PooledBranch:
    torch.manual_seed(2)
    made = PooledBranch(MIDDLE, CHANNELS, num_classes=5, dropout=dropout)
    for head in (made.words, made.energy, made.direction):
        nn.init.normal_(head.weight)
    return made


def maps(videos: int = VIDEOS) -> dict[int, list[torch.Tensor]]:
    torch.manual_seed(1)
    images = videos * SNIPPETS
    unread = torch.rand(images, 2, 14, 14)
    return {
        14: [unread, torch.rand(images, MIDDLE, 14, 14)],
        7: [torch.rand(images, CHANNELS, 7, 7)],
    }


def moving_ramp(down: int, right: int, shift: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Return a ramp that grows by `down` a row and `right` a column, before and after a move."""
    rows = torch.arange(7.0).view(7, 1)
    columns = torch.arange(7.0).view(1, 7)
    before = down * rows + right * columns
    return before.view(1, 1, 7, 7), (before - shift).view(1, 1, 7, 7)


def test_sums_of_a_moving_ramp_are_those_that_one_works_out_by_hand() -> None:
    # f = 2 y + 3 x, so f_y = 2 in 5 of 7 rows and f_x = 3 in 5 of 7 columns; f_t = -4 everywhere.
    earlier, later = moving_ramp(2, 3, 4.0)
    square, change, across, down = sums_of(earlier, later)[0].tolist()
    assert change == pytest.approx(-4)
    assert square == pytest.approx(4)
    assert across == pytest.approx(-((4 * 3 * 5 / 7) ** 0.5))
    assert down == pytest.approx(-((4 * 2 * 5 / 7) ** 0.5))


def test_a_still_video_has_no_sum() -> None:
    (still,) = maps()[7]
    assert sums_of(still, still).count_nonzero() == 0


def test_played_backwards_a_ramp_has_the_same_energy_and_the_opposite_direction() -> None:
    earlier, later = moving_ramp(2, 3, 4.0)
    energy, *directed = sums_of(earlier, later)[0].tolist()
    again, *opposite = sums_of(later, earlier)[0].tolist()
    assert again == pytest.approx(energy)
    assert opposite == pytest.approx([-one for one in directed])


def test_mirrored_maps_turn_the_sum_along_x_and_leave_the_others() -> None:
    (all_maps,) = maps()[7]
    sums = sums_of(all_maps[:-1], all_maps[1:]).unflatten(1, (4, CHANNELS))
    mirrored = all_maps.flip(-1)
    turned = sums_of(mirrored[:-1], mirrored[1:]).unflatten(1, (4, CHANNELS))
    sign = torch.tensor([1.0, 1.0, -1.0, 1.0]).view(4, 1)
    torch.testing.assert_close(turned, sign * sums, rtol=1e-4, atol=1e-5)


def test_of_places_a_tenth_is_read_that_changes_most_how_and_what_it_shows() -> None:
    earlier = torch.rand(2, 3, 4, 5)
    later = earlier.clone()
    later[0, 1, 2, 3] += 2
    later[0, :, 0, 0] += 1
    later[1, :, 1, 1] -= 5
    later[1, 0, 3, 4] += 1
    read = places_of(earlier, later)
    assert tuple(read.shape) == (2, 6, 2)
    change, shown = read.split(3, dim=1)
    torch.testing.assert_close(change[0, :, 0], torch.tensor([0.0, 2.0, 0.0]))
    torch.testing.assert_close(change[0, :, 1], torch.ones(3))
    torch.testing.assert_close(shown[0], torch.stack([earlier[0, :, 2, 3], earlier[0, :, 0, 0]], 1))
    torch.testing.assert_close(change[1, :, 0], torch.full((3,), -5.0))
    torch.testing.assert_close(shown[1, :, 1], earlier[1, :, 3, 4])


def test_what_was_read_before_is_answered_as_the_maps_are() -> None:
    made, levels = branch().eval(), maps()
    made.standardise(levels, snippets=SNIPPETS)
    read = {level: [tensor] for level, tensor in made.read(levels, snippets=SNIPPETS).items()}
    kept = made(read, snippets=SNIPPETS)
    for head, logits in made(levels, snippets=SNIPPETS).items():
        assert torch.equal(kept[head], logits)


def test_a_pair_is_answered_alike_in_a_video_and_alone() -> None:
    made, levels = branch().eval(), maps()
    together = made(levels, snippets=SNIPPETS)
    assert tuple(together) == made.heads
    shares = made.shares(levels)
    earlier = [part.unflatten(0, (VIDEOS, SNIPPETS))[:, 1] for part in shares.earlier]
    later = [part.unflatten(0, (VIDEOS, SNIPPETS))[:, 2] for part in shares.later]
    for head, logits in made.pairs(earlier, later).items():
        assert tuple(together[head].shape) == (VIDEOS, SNIPPETS - 1, 5)
        torch.testing.assert_close(logits, together[head][:, 1])


def test_what_is_told_of_the_videos_that_it_is_scaled_by_spreads_by_one() -> None:
    made, levels = branch().eval(), maps(videos=40)
    made.standardise(levels, snippets=SNIPPETS)
    told = made._told(
        PairsRead(
            *(
                one.flatten(2)[..., 0] if level == SUMS else one[..., 0]
                for level, one in made.read(levels, snippets=SNIPPETS).items()
            )
        )
    )
    scaled = made._scaled(told).unflatten(0, (-1, SNIPPETS - 1)).mean(dim=1)
    torch.testing.assert_close(scaled.mean(dim=0), torch.zeros(scaled.shape[1]), rtol=0, atol=1e-3)
    sums, words = scaled[:, made.codebook.length :], scaled[:, : made.codebook.length]
    torch.testing.assert_close(sums.std(dim=0), torch.ones(4 * CHANNELS), rtol=1e-3, atol=0)
    assert words.square().mean().item() == pytest.approx(1, rel=1e-3)


def test_what_is_hidden_in_training_is_hidden_in_all_pairs_of_a_video() -> None:
    made = branch(dropout=0.5).train()
    still = {
        level: [one[:1].expand(SNIPPETS, -1, -1, -1) for one in of_level]
        for level, of_level in maps(videos=1).items()
    }
    made.centre.fill_(1.0)  # Or all that is seen of a still video would be nothing.
    logits = made(still, snippets=SNIPPETS)["off7_direction"][0]
    torch.testing.assert_close(logits, logits[:1].expand_as(logits))
    again = made(still, snippets=SNIPPETS)["off7_direction"][0]
    assert not torch.allclose(logits, again)


def test_gradients_are_those_of_the_maps_themselves() -> None:
    (last,) = maps()[7]
    levels = {28: [torch.rand(VIDEOS * SNIPPETS, 2, 9, 9)] * 2, 7: [last]}
    found = branch().gradients(levels, snippets=SNIPPETS)
    assert tuple(found[28].spatial.shape) == (VIDEOS, SNIPPETS - 1, 8, 9, 9)
    by_video = last.unflatten(0, (VIDEOS, SNIPPETS))
    torch.testing.assert_close(found[7].temporal, by_video[:, 1:] - by_video[:, :-1])
