"""Networks that look at test videos together answer as each does alone."""

import importlib
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from telling_networks import telling_apart

from marey.evaluation import Scores, save_scores
from marey.models import OFF, off_efficientnet_lite0, off_ordered_efficientnet_lite0

SCRIPTS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def results(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(SCRIPTS)
    return importlib.import_module("results")


@pytest.fixture
def cells(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(SCRIPTS)
    return importlib.import_module("cells")


def networks() -> list[OFF]:
    """Two networks whose classifiers differ, and nothing else."""
    torch.manual_seed(0)
    made = [telling_apart(off_ordered_efficientnet_lite0(num_classes=3)) for _ in range(2)]
    made[0].branch.centre.uniform_(-1, 1)
    made[0].branch.spread.uniform_(0.5, 2)
    for name in ("codebook.means", "codebook.middle", "centre", "spread", "order_spread"):
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


def test_cells_are_named_by_videos_and_not_by_where_these_lie(cells: ModuleType) -> None:
    assert cells.plain("../somewhere/videos/golf/a b.avi") == "golf/a b.avi"
    assert cells.plain("/elsewhere/golf/a b.avi") == "golf/a b.avi"


def kept(path: Path, labels: np.ndarray, **heads: np.ndarray) -> None:
    videos = tuple(f"{path.stem} {number}" for number in range(len(labels)))
    save_scores(
        Scores(videos=videos, labels=labels, classes=("a", "b"), heads=heads, meta={}), path
    )


def test_streams_are_weighed_by_what_they_said_of_held_out_videos(
    cells: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    draw = np.random.default_rng(0)
    labels, tested = draw.integers(0, 2, 200), draw.integers(0, 2, 50)
    right = np.eye(2, dtype=np.float32)
    for stream in ("knows", "guesses"):
        (tmp_path / stream).mkdir()
        for name, truth in (("held-out", labels), ("test", tested)):
            noise = draw.normal(size=(len(truth), 2)).astype(np.float32)
            # The one that guesses is wrong of test videos, where nobody may look.
            sure = {"knows": 3.0, "guesses": 0.0 if name == "held-out" else -3.0}[stream]
            logits = (noise + sure * right[truth]).astype(np.float32)
            kept(tmp_path / stream / f"{name}.npz", truth, tsn=logits, off14=noise)

    def of(out: Path, word: str, *_: int) -> SimpleNamespace:
        folder = out / word.partition(":")[0]
        return SimpleNamespace(scores=folder / "test.npz", held_out=folder / "held-out.npz")

    monkeypatch.setattr(cells, "of", of)
    _, truth, alone = cells.answers(tmp_path, ["knows:tsn"], 1, 0)
    for words in (["knows:tsn", "guesses:tsn"], ["knows", "guesses"]):
        _, _, fused = cells.answers(tmp_path, words, 1, 0)
        agree = (fused.argmax(axis=1) == alone.argmax(axis=1)).mean()
        assert agree > 0.9
        assert (fused.argmax(axis=1) == truth).mean() > 0.9
