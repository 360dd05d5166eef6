"""A split branch answers as the branch that it was made from."""

import pytest
import torch

from marey.nn import OFFBranch, SplitBranch, off_branch, port_branch

CHANNELS = {28: (6, 5), 14: (4, 7), 7: (8,)}
SNIPPETS = 4


def maps(channels=CHANNELS, videos: int = 2) -> dict[int, list[torch.Tensor]]:
    return {
        size: [torch.randn(videos * SNIPPETS, width, size, size) for width in widths]
        for size, widths in channels.items()
    }


def branch(**settings) -> OFFBranch:
    torch.manual_seed(3)
    made = off_branch(
        CHANNELS, num_classes=5, temporal=6, stems=(8, 8, 8), **{"spatial": 4, **settings}
    )
    # The classifiers begin so near to zero that nothing would be seen of what comes before.
    for level in (made.level28, made.level14, made.level7):
        torch.nn.init.normal_(level.head.weight)
        torch.nn.init.normal_(level.stem.bias)
    return made.eval()


@pytest.mark.parametrize(
    "settings",
    [{}, {"gradient": "sobel"}, {"spatial": 0}, {"scale": 0.3}],
    ids=["diagonal", "sobel", "none", "scaled"],
)
def test_logits_and_gradients_are_those_of_the_branch(settings) -> None:
    whole = branch(**settings)
    split = SplitBranch(whole)
    levels = maps()
    with torch.inference_mode():
        expected = whole(levels, snippets=SNIPPETS)
        answer = split(levels, snippets=SNIPPETS)
        seen, looked_at = (b.gradients(levels, snippets=SNIPPETS) for b in (whole, split))
    torch.testing.assert_close(answer, expected, rtol=1e-4, atol=1e-5)
    for size, gradients in seen.items():
        torch.testing.assert_close(looked_at[size].temporal, gradients.temporal)
        torch.testing.assert_close(looked_at[size].spatial, gradients.spatial)


def test_logits_are_those_of_the_port() -> None:
    torch.manual_seed(4)
    channels = {28: (6, 5), 14: (4,), 7: (8,)}
    whole = port_branch(channels, num_classes=5).eval()
    for level in (whole.level28, whole.level14, whole.level7):
        torch.nn.init.normal_(level.head.weight)
    for parameter in whole.parameters():
        parameter.data += 0.01 * torch.randn_like(parameter)
    levels = maps(channels)
    with torch.inference_mode():
        expected = whole(levels, snippets=SNIPPETS)
        answer = SplitBranch(whole)(levels, snippets=SNIPPETS)
    torch.testing.assert_close(answer, expected, rtol=1e-4, atol=1e-4)


def test_any_snippet_can_be_paired_with_any_other_by_their_shares() -> None:
    whole = branch()
    split = SplitBranch(whole)
    levels = maps(videos=1)
    with torch.inference_mode():
        shares = split.shares(levels)
        heads = split.pairs(
            [maps[[0, 2]] for maps in shares.earlier], [maps[[3, 1]] for maps in shares.later]
        )
        for pair, ends in enumerate([[0, 3], [2, 1]]):
            alone = {size: [m[ends] for m in maps] for size, maps in levels.items()}
            expected = whole(alone, snippets=2)
            for name, logits in heads.items():
                torch.testing.assert_close(logits[pair], expected[name][0, 0], rtol=1e-4, atol=1e-5)


def test_weights_of_the_branch_can_change_without_changing_the_split_one() -> None:
    whole = branch()
    split = SplitBranch(whole)
    levels = maps()
    with torch.inference_mode():
        before = split(levels, snippets=SNIPPETS)
        whole.level28.stem.weight.add_(1)
        whole.level14.units[0].reduce.bias.add_(1)
        torch.testing.assert_close(split(levels, snippets=SNIPPETS), before, rtol=0, atol=0)
