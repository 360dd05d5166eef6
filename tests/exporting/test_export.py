"""A network gets its file only if it answers as before."""

import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import onnx
import pytest
import torch

from marey.backends import read_exported
from marey.errors import CheckpointError, MareyError
from marey.exporting import Clips, _export, _int8, export_int8, export_network
from marey.models import OFF


@pytest.fixture(autouse=True)
def _graph_at_hand(monkeypatch: pytest.MonkeyPatch, graph: onnx.ModelProto) -> None:
    monkeypatch.setattr(_export, "onnx_graph", lambda model: graph)


def with_bias(graph: onnx.ModelProto, change: float) -> onnx.ModelProto:
    """Return a graph whose TSN likes its last class more."""
    other = onnx.ModelProto()
    other.CopyFrom(graph)
    (bias,) = (t for t in other.graph.initializer if t.name.endswith("tsn.head.bias"))
    values = onnx.numpy_helper.to_array(bias).copy()
    values[-1] += change
    bias.raw_data = values.tobytes()
    _int8.describe(other, _export.graph_facts(other))
    return other


@pytest.mark.parametrize("name", ["m.onnx", "m.xml"])
def test_a_network_is_checked_and_written_and_nothing_else_is_left(
    network: OFF, clips: Clips, tmp_path: Path, name: str
) -> None:
    result = export_network(network, tmp_path / name, clips=clips)
    assert result.difference is not None
    assert 0 <= result.difference < 1e-5
    assert sorted(result.files) == sorted(tmp_path.iterdir())
    assert read_exported(tmp_path / name).facts == result.facts


@pytest.mark.parametrize("name", ["m.onnx", "m.xml"])
def test_a_network_that_answers_otherwise_is_not_written(
    network: OFF, graph, clips: Clips, tmp_path: Path, monkeypatch, name: str
) -> None:
    (tmp_path / name).write_text("what was here before")
    monkeypatch.setattr(_export, "onnx_graph", lambda model: with_bias(graph, 0.01))
    with pytest.raises(MareyError, match=r"differs by 0\.00\d+ from PyTorch's on 3 videos"):
        export_network(network, tmp_path / name, clips=clips)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["what was here before"]


def test_exporting_is_nobody_elses_business(
    network: OFF, clips: Clips, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def call(*_: object) -> None:
        raise AssertionError("somebody was called")

    monkeypatch.setattr(socket.socket, "connect", call)
    monkeypatch.setattr(socket, "getaddrinfo", call)
    export_network(network, tmp_path / "m.xml", clips=clips)
    read_exported(tmp_path / "m.xml")


@pytest.mark.parametrize("name", ["m.onnx", "m.bin"])
def test_a_weight_that_changed_is_noticed(
    network: OFF, clips: Clips, tmp_path: Path, name: str
) -> None:
    path = tmp_path / name.replace("bin", "xml")
    export_network(network, path, clips=clips)
    damaged = bytearray((tmp_path / name).read_bytes())
    # Amid the weights, which are nearly all of either file.
    damaged[len(damaged) // 2] ^= 1
    (tmp_path / name).write_bytes(damaged)
    with pytest.raises(CheckpointError, match="damaged"):
        read_exported(path)


def test_files_of_two_exports_do_not_mix(
    network: OFF, graph, clips: Clips, tmp_path: Path, monkeypatch
) -> None:
    """As when the second export is killed after the first of its two files."""
    export_network(network, tmp_path / "m.xml", clips=clips)
    before = (tmp_path / "m.xml").read_bytes()
    monkeypatch.setattr(_export, "onnx_graph", lambda model: with_bias(graph, 1e-5))
    export_network(network, tmp_path / "m.xml", clips=clips)
    (tmp_path / "m.xml").write_bytes(before)
    with pytest.raises(CheckpointError, match="does not belong to"):
        read_exported(tmp_path / "m.xml")


def named_by(network: OFF, clips: Clips) -> Clips:
    """Return clips whose labels are what the network says."""
    from marey.evaluation import fuse_heads, score_snippets
    from marey.exporting._clips import VIEWS

    said = [
        network.classes[
            fuse_heads(score_snippets(network, c, views=VIEWS), network.fusion).argmax()
        ]
        for c in clips
    ]
    entries = tuple(
        replace(entry, label=label) for entry, label in zip(clips.index.entries, said, strict=True)
    )
    return replace(clips, index=replace(clips.index, entries=entries, classes=network.classes))


@pytest.fixture
def coarse(monkeypatch: pytest.MonkeyPatch) -> Callable[[onnx.ModelProto], None]:
    def becomes(graph: onnx.ModelProto) -> None:
        monkeypatch.setattr(_export, "int8_graph", lambda *_: graph)

    return becomes


def test_a_coarser_network_may_not_know_fewer_videos(
    network: OFF, graph, clips: Clips, tmp_path: Path, coarse
) -> None:
    known = named_by(network, clips)
    coarse(graph)
    seen: list[None] = []
    result = export_int8(
        network,
        tmp_path / "m.onnx",
        learn=clips,
        measure=known,
        each=lambda: seen.append(None),
    )
    assert result.accuracies is not None
    assert (result.accuracies.before, result.accuracies.after) == (1, 1)
    assert (result.accuracies.videos, result.accuracies.agreement, len(seen)) == (3, 1, 3)
    # This one never says the last class, or always, whatever is wrong.
    last = network.classes[-1] in {entry.label for entry in known.index.entries}
    coarse(with_bias(graph, -1e6 if last else 1e6))
    with pytest.raises(MareyError, match=r"it may lose 1%, so .*worse\.onnx was not written"):
        export_int8(network, tmp_path / "worse.onnx", learn=clips, measure=known)
    assert not (tmp_path / "worse.onnx").exists()


@pytest.mark.slow
def test_integers_of_8_bits_answer_nearly_alike(
    network: OFF, graph, clips: Clips, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_export, "MOST_LOST", 1.0)
    known = named_by(network, clips)
    for name in ("m.onnx", "m.xml"):
        result = export_int8(network, tmp_path / name, learn=clips, measure=known)
        assert result.facts.precision == "int8"
        assert result.files[-1].stat().st_size < 0.4 * len(graph.SerializeToString())
        clip = (torch.rand(1, 4, 3, 64, 64) - 0.5) * 2
        with torch.inference_mode():
            fine = network(clip)["tsn"]
        for backend in ("onnx", "openvino") if name == "m.onnx" else ("openvino",):
            answer = read_exported(tmp_path / name, backend=backend)(clip)["tsn"]
            both = torch.stack([fine.flatten(), answer.flatten()])
            assert torch.corrcoef(both)[0, 1] > 0.9
