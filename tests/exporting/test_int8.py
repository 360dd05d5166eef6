"""What stays as it is in a network of 8-bit integers."""

from pathlib import Path

import pytest
from onnx import helper

from marey.backends import facts_of
from marey.exporting import clips_of, export_int8
from marey.exporting._int8 import _stay
from marey.index import Entry, Index
from marey.models import bundled_models, load_model

FOLDER = Path(str(bundled_models()["off-lite0-jhmdb"])).parents[1] / "clips"


def test_the_first_convolution_and_what_is_read_after_the_last_stay_as_they_are() -> None:
    nodes = [
        helper.make_node("Conv", ["clips", "w"], ["a"], name="first"),
        helper.make_node("Relu", ["a"], ["b"], name="rectified"),
        helper.make_node("Conv", ["b", "w"], ["c"], name="second"),
        helper.make_node("Conv", ["c", "w"], ["d"], name="squared later"),
        helper.make_node("Conv", ["d", "w"], ["e"], name="last"),
        helper.make_node("Mul", ["d", "d"], ["f"], name="square"),
        helper.make_node("Softmax", ["e"], ["g"], name="answer"),
    ]
    graph = helper.make_model(helper.make_graph(nodes, "g", [], []))
    assert _stay(graph) == ["first", "squared later", "last", "square", "answer"]


@pytest.mark.slow
def test_the_bundled_network_knows_the_bundled_clips_in_8_bits_too(tmp_path: Path) -> None:
    network = load_model(bundled_models()["off-lite0-jhmdb"])
    files = sorted(FOLDER.glob("*.avi"))
    clips = clips_of(files, facts_of(network))
    entries = tuple(
        Entry(path=str(file), label=file.stem, split="test", group=None) for file in files
    )
    known = Index(root=FOLDER, classes=network.classes, entries=entries)
    measure = type(clips)(known, clips.facts, clips.source)
    result = export_int8(network, tmp_path / "m.onnx", learn=clips, measure=measure)
    assert result.accuracies is not None
    assert (result.accuracies.before, result.accuracies.after) == (1, 1)
