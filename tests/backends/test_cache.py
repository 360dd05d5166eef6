"""Graphs are kept, and made anew when anything that they are made from has changed."""

from pathlib import Path

import onnx
import pytest
import torch

from marey.backends import _cache, runner_of
from marey.backends._cache import kept_graph
from marey.models import OFF


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch, graph: onnx.ModelProto, tmp_path: Path) -> list[str]:
    """What was made anew, the seconds of it saved."""
    calls: list[str] = []

    def make(model: OFF) -> onnx.ModelProto:
        calls.append(model.name)
        return graph

    monkeypatch.setattr(_cache, "onnx_graph", make)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return calls


def test_a_graph_is_made_once_and_the_user_is_told(network: OFF, graph, made: list[str]) -> None:
    told: list[str] = []
    for _ in range(2):
        assert kept_graph(network, announce=told.append) == graph
    assert len(made) == len(told) == 1


def test_other_weights_or_facts_are_another_graph(network: OFF, made: list[str]) -> None:
    kept_graph(network)
    bias = network.tsn.head.bias
    with torch.no_grad():
        bias[0] += 1
        kept_graph(network)
        bias[0] -= 1
    network.fusion["off14"] = 2.0
    kept_graph(network)
    network.fusion["off14"] = 0.0
    kept_graph(network)
    assert len(made) == 3


def test_a_damaged_graph_is_made_anew(network: OFF, made: list[str], tmp_path: Path) -> None:
    kept_graph(network)
    (file,) = (tmp_path / "cache" / "marey").glob("*.onnx")
    whole = file.read_bytes()
    for damaged in (b"", whole[: len(whole) // 2]):
        file.write_bytes(damaged)
        kept_graph(network)
        assert file.read_bytes() == whole
    assert len(made) == 3


def test_without_a_place_to_keep_it_the_graph_is_made_every_time(
    network: OFF, made: list[str], tmp_path: Path
) -> None:
    (tmp_path / "cache").write_text("in the way")
    for _ in range(2):
        kept_graph(network)
    assert len(made) == 2


def test_graphs_that_were_not_used_for_longest_give_way(
    network: OFF, made: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "cache" / "marey"
    folder.mkdir(parents=True)
    old = folder / "old.onnx"
    old.write_bytes(b"x")
    kept_graph(network)
    assert old.exists()
    monkeypatch.setattr(_cache, "_MOST_BYTES", 100)
    network.fusion["off14"] = 3.0
    kept_graph(network)
    network.fusion["off14"] = 0.0
    assert not old.exists()


def test_a_runner_uses_the_kept_graph(network: OFF, made: list[str]) -> None:
    for _ in range(2):
        runner_of(network, backend="onnx", threads=1)
    assert len(made) == 1
