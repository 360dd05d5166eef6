"""A backbone's maps are the same by each runtime."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from telling_networks import telling_apart

from marey.backends import Backend, _maps, maps_runner, runner_of
from marey.backends._openvino import Request, compiled
from marey.models import OFF, Network, build_model
from marey.nn import OrderedBranch, PooledBranch

SIZE = 64


def network(name: str) -> Network:
    torch.manual_seed(0)
    return build_model(name, num_classes=3).eval()


@pytest.mark.parametrize(
    ("name", "levels"),
    [
        pytest.param("tsn_efficientnet_lite0", (), marks=pytest.mark.slow),
        pytest.param("off_efficientnet_lite0", (28, 14, 7), marks=pytest.mark.slow),
        ("off_pooled_efficientnet_lite0", (14, 7)),
    ],
)
def test_maps_are_those_of_the_network(
    name: str, levels: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = network(name)
    assert levels == (model.branch.levels if isinstance(model, OFF) else ())
    clips = torch.randn(2, 3, 3, SIZE, SIZE)
    monkeypatch.setenv("MAREY_BACKEND", "torch")
    with torch.inference_mode():
        expected = maps_runner(model, levels=levels)(clips)
    monkeypatch.setenv("MAREY_BACKEND", "openvino")
    run = maps_runner(model, levels=levels, threads=1)
    given = run(clips)
    run(torch.randn(1, 2, 3, SIZE, SIZE))  # Another shape, and memory that is written anew.
    torch.testing.assert_close(given.features, expected.features, rtol=1e-3, atol=1e-4)
    assert tuple(given.levels) == levels
    for level in levels:
        for ours, theirs in zip(given.levels[level], expected.levels[level], strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3)


def test_networks_of_one_backbone_share_its_translation_and_others_do_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[int] = []

    def counted(*given: Any) -> Request:
        made.append(1)
        return compiled(*given)

    monkeypatch.setenv("MAREY_BACKEND", "openvino")
    monkeypatch.setattr(_maps, "compiled", counted)
    monkeypatch.setattr(_maps, "_translated", {})
    clips = torch.randn(1, 2, 3, SIZE, SIZE)
    model = network("tsn_efficientnet_lite0")
    first = maps_runner(model, levels=(), threads=1)(clips).features
    with torch.no_grad():
        model.head.weight.add_(1)  # What is learnt on top makes no difference.
    torch.testing.assert_close(maps_runner(model, levels=(), threads=1)(clips).features, first)
    assert len(made) == 1
    with torch.no_grad():
        model.backbone.get_parameter("stem.conv.weight").add_(1)
    assert not maps_runner(model, levels=(), threads=1)(clips).features.equal(first)
    assert len(made) == 2


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["onnx", "openvino"])
@pytest.mark.parametrize(
    ("name", "heads"),
    [
        ("off_pooled_efficientnet_lite0", PooledBranch.heads),
        ("off_ordered_efficientnet_lite0", OrderedBranch.heads),
    ],
)
@pytest.mark.parametrize("snippets", [3, 6])
def test_a_branch_that_pools_answers_alike_by_each_runtime(
    snippets: int, name: str, heads: tuple[str, ...], backend: Backend
) -> None:
    model = telling_apart(network(name))
    model.preprocessing = replace(model.preprocessing, size=SIZE, short_side=SIZE)
    clips = torch.randn(2, snippets, 3, SIZE, SIZE)
    with torch.inference_mode():
        expected = model(clips)
    answers = runner_of(model, backend=backend, device="cpu", threads=1)(clips)
    assert list(answers) == ["tsn", *heads]
    for head, logits in answers.items():
        torch.testing.assert_close(logits, expected[head], rtol=1e-3, atol=1e-3)
