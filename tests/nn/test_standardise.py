import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from marey.nn import OFFBranch, OFFUnit, off_branch, standardise

SNIPPETS = 3
CHANNELS = {28: (4,), 14: (5, 3), 7: (6,)}


@pytest.fixture
def branch() -> OFFBranch:
    torch.manual_seed(0)
    return off_branch(CHANNELS, num_classes=3, spatial=2, temporal=4, stems=(4, 4, 8))


@pytest.fixture
def levels() -> dict[int, list[Tensor]]:
    torch.manual_seed(1)
    return {
        size: [0.1 * torch.randn(8 * SNIPPETS, width, size, size) for width in widths]
        for size, widths in CHANNELS.items()
    }


def convolutions(branch: OFFBranch) -> dict[str, nn.Conv2d]:
    """Return all but those of the OFF units."""
    units = tuple(name for name, part in branch.named_modules() if isinstance(part, OFFUnit))
    return {
        name: part
        for name, part in branch.named_modules()
        if isinstance(part, nn.Conv2d) and not name.startswith(units)
    }


def test_every_layer_answers_with_mean_0_and_variance_1(
    branch: OFFBranch, levels: dict[int, list[Tensor]]
) -> None:
    standardise(branch, levels, snippets=SNIPPETS)
    seen: dict[str, Tensor] = {}
    for name, part in convolutions(branch).items():

        def keep(part: nn.Module, given: tuple[Tensor], answer: Tensor, name: str = name) -> None:
            assert isinstance(part, nn.Conv2d)
            seen[name] = nn.Conv2d.forward(part, given[0])

        part.register_forward_hook(keep)
    branch.eval().every_head(levels, snippets=SNIPPETS)
    assert len(seen) == len(convolutions(branch)) == 24
    for answer in seen.values():
        assert_close(answer.mean(dim=(0, 2, 3)), torch.zeros(answer.shape[1]), atol=1e-4, rtol=0)
        assert_close(answer.std(dim=(0, 2, 3)), torch.ones(answer.shape[1]), atol=1e-3, rtol=0)


def test_units_and_classifiers_stay_as_drawn(
    branch: OFFBranch, levels: dict[int, list[Tensor]]
) -> None:
    before = {name: tensor.clone() for name, tensor in branch.state_dict().items()}
    standardise(branch, levels, snippets=SNIPPETS)
    changed = {
        name.rpartition(".")[0]
        for name, tensor in branch.state_dict().items()
        if not torch.equal(tensor, before[name])
    }
    assert changed == set(convolutions(branch))


def test_a_layer_that_always_answers_the_same_stays_finite(
    branch: OFFBranch, levels: dict[int, list[Tensor]]
) -> None:
    still = {size: [torch.zeros_like(map_) for map_ in maps] for size, maps in levels.items()}
    standardise(branch, still, snippets=SNIPPETS)
    assert all(tensor.isfinite().all() for tensor in branch.state_dict().values())


def test_it_leaves_training_mode_and_hooks_as_they_were(
    branch: OFFBranch, levels: dict[int, list[Tensor]]
) -> None:
    assert branch.train().training
    standardise(branch, levels, snippets=SNIPPETS)
    assert branch.training
    weights = {name: tensor.clone() for name, tensor in branch.state_dict().items()}
    branch.every_head(levels, snippets=SNIPPETS)
    assert all(torch.equal(tensor, weights[name]) for name, tensor in branch.state_dict().items())
