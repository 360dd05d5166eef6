"""Networks that look at test videos together answer as each does alone."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from telling_networks import telling_apart

from marey.models import OFF, off_efficientnet_lite0, off_pooled_efficientnet_lite0

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "results.py"


@pytest.fixture(scope="module")
def results() -> ModuleType:
    spec = importlib.util.spec_from_file_location("benchmark_results", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # Where dataclasses look for it.
    spec.loader.exec_module(module)
    return module


def networks() -> list[OFF]:
    """Two networks whose classifiers differ, and nothing else."""
    torch.manual_seed(0)
    made = [telling_apart(off_pooled_efficientnet_lite0(num_classes=3)) for _ in range(2)]
    made[0].branch.centre.uniform_(-1, 1)
    made[0].branch.spread.uniform_(0.5, 2)
    for name in ("codebook.means", "codebook.middle", "centre", "spread"):
        made[1].branch.get_buffer(name).copy_(made[0].branch.get_buffer(name))
    made[1].tsn.backbone.load_state_dict(made[0].tsn.backbone.state_dict())
    return made


def test_networks_side_by_side_answer_as_each_alone(results: ModuleType) -> None:
    both = networks()
    assert results.alike(both)
    clips = torch.randn(2, 3, 3, 64, 64)
    with torch.inference_mode():
        together = results.side_by_side(both)(clips)
        alone = [network(clips) for network in both]
    for head, logits in together.items():
        expected = torch.cat([answers[head] for answers in alone], dim=-1)
        torch.testing.assert_close(logits, expected, rtol=1e-3, atol=1e-3)


def test_networks_of_other_backbones_or_branches_look_by_themselves(results: ModuleType) -> None:
    one, other = networks()
    with torch.no_grad():
        other.tsn.backbone.stem.conv.weight += 1
    assert not results.alike([one, other])
    one, other = networks()
    other.branch.codebook.means += 1
    assert not results.alike([one, other])
    assert not results.alike([off_efficientnet_lite0(num_classes=3)] * 2)


def test_cells_are_named_by_videos_and_not_by_where_these_lie(results: ModuleType) -> None:
    assert results.plain("../somewhere/videos/golf/a b.avi") == "golf/a b.avi"
    assert results.plain("/elsewhere/golf/a b.avi") == "golf/a b.avi"
