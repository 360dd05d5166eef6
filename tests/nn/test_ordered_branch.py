"""A branch that hears order tells what comes first from what comes last."""

import pytest
import torch
from test_pooled_branch import CHANNELS, MIDDLE, SNIPPETS, VIDEOS, maps
from torch import nn

from marey.nn import ORDER, OrderedBranch, PooledBranch, lateness
from marey.nn._pooled_branch import PLACES, SUMS


def branch(dropout: float = 0.8) -> OrderedBranch:
    torch.manual_seed(2)
    made = OrderedBranch(MIDDLE, CHANNELS, num_classes=5, dropout=dropout)
    for head in (made.words, made.energy, made.direction, made.order):
        nn.init.normal_(head.weight)
    return made


def read(pairs: torch.Tensor) -> dict[int, list[torch.Tensor]]:
    """Return levels as `read` makes them, in which the places of pairs show some numbers [P D]."""
    places = pairs[..., None].expand(-1, -1, 3)
    return {
        SUMS: [torch.zeros(len(pairs), 4 * CHANNELS, 1, 1)],
        PLACES: [places[..., None].contiguous()],
    }


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [(1, [0.0]), (2, [-1.0, 1.0]), (3, [-1.0, 0.0, 1.0]), (5, [-1.0, -0.5, 0.0, 0.5, 1.0])],
)
def test_lateness_runs_evenly_from_the_first_pair_to_the_last(
    pairs: int, expected: list[float]
) -> None:
    assert lateness(pairs, like=torch.zeros(1)).tolist() == expected


def test_other_heads_are_those_of_the_pooled_branch() -> None:
    made, levels = branch().eval(), maps()
    made.standardise(levels, snippets=SNIPPETS)
    pooled = PooledBranch(MIDDLE, CHANNELS, num_classes=5).eval()
    weights = {name: one for name, one in made.state_dict().items() if "order" not in name}
    pooled.load_state_dict(weights)
    answers = made(levels, snippets=SNIPPETS)
    assert tuple(answers) == made.heads == (*pooled.heads, ORDER)
    for head, logits in pooled(levels, snippets=SNIPPETS).items():
        assert torch.equal(answers[head], logits)


def test_pairs_in_the_opposite_order_say_the_opposite() -> None:
    made = branch().eval()
    shown = torch.randn(SNIPPETS - 1, 2 * MIDDLE)
    there, back = (made(read(one), snippets=SNIPPETS) for one in (shown, shown.flip(0)))
    torch.testing.assert_close(there[ORDER].mean(dim=1), -back[ORDER].mean(dim=1))
    assert there[ORDER].mean(dim=1).abs().max() > 0.01
    torch.testing.assert_close(there["off14"].mean(dim=1), back["off14"].mean(dim=1))


def test_what_stays_the_same_all_the_while_is_not_heard() -> None:
    made = branch().eval()
    shown = torch.randn(1, 2 * MIDDLE).expand(SNIPPETS - 1, -1)
    silent = made(read(shown), snippets=SNIPPETS)[ORDER].mean(dim=1)
    torch.testing.assert_close(silent, torch.zeros(1, 5), rtol=0, atol=1e-5)


def test_a_single_pair_has_no_order() -> None:
    answers = branch().eval()(read(torch.randn(1, 2 * MIDDLE)), snippets=2)
    assert answers[ORDER].count_nonzero() == 0


def test_pairs_alone_say_what_they_would_say_as_the_last() -> None:
    made, levels = branch().eval(), maps()
    together = made(levels, snippets=SNIPPETS)
    shares = made.shares(levels)
    for number, late in enumerate((-1.0, 0.0, 1.0)):
        earlier, later = (
            [part.unflatten(0, (VIDEOS, SNIPPETS))[:, number + more] for part in parts]
            for more, parts in enumerate((shares.earlier, shares.later))
        )
        alone = made.pairs(earlier, later)
        torch.testing.assert_close(late * alone[ORDER], together[ORDER][:, number])
        torch.testing.assert_close(alone["off14"], together["off14"][:, number])


def test_what_is_heard_of_the_videos_that_it_is_scaled_by_spreads_by_one() -> None:
    made, levels = branch().eval(), maps(videos=40)
    made.standardise(levels, snippets=SNIPPETS)
    # So that logits are the scaled words themselves.
    made.order = nn.Linear(made.codebook.length, made.codebook.length, bias=False)
    nn.init.eye_(made.order.weight)
    heard = made(levels, snippets=SNIPPETS)[ORDER].mean(dim=1)
    assert heard.square().mean().item() == pytest.approx(1, rel=1e-3)


def test_in_training_the_same_is_hidden_in_all_pairs_of_a_video() -> None:
    made = branch(dropout=0.5).train()
    shown = torch.randn(1, 2 * MIDDLE).expand(SNIPPETS - 1, -1)
    first, middle, last = made(read(shown), snippets=SNIPPETS)[ORDER][0]
    torch.testing.assert_close(first, -last)
    assert middle.count_nonzero() == 0
    again = made(read(shown), snippets=SNIPPETS)[ORDER][0]
    assert not torch.allclose(again[-1], last)
