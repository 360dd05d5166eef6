"""What was imported answers as the originals did, whatever file it came in."""

from pathlib import Path

import pytest
import torch
from golden import (
    backbone_weights,
    branch_weights,
    golden_of,
    load,
    relative_error,
    stand_in,
)
from made_files import DIAGONAL, caffemodel, pth

from marey.importing import import_weights
from marey.models import OFF, for_inference, off_bn_inception, tsn_bn_inception

CLASSES = [f"class {number}" for number in range(101)]
HEADS = {"off7": "fc_motion", "off14": "fc_motion_14", "off28": "fc_motion_28"}


@pytest.mark.parametrize(
    ("name", "modality", "suffix"),
    [
        ("caffe_rgb_off", "rgb", ".caffemodel"),
        ("caffe_flow_off", "flow", ".caffemodel"),
        ("port_rgb_off", "rgb", ".pth"),
    ],
)
def test_off_answers_as_the_original(name: str, modality, suffix: str, tmp_path: Path) -> None:
    golden = golden_of(name)
    path = tmp_path / f"weights{suffix}"
    if suffix == ".pth":
        pth(path, golden.weights())
    else:
        path.write_bytes(caffemodel(golden.weights()))
    network, report, _ = import_weights(path, modality=modality, classes=CLASSES)
    assert isinstance(network, OFF)
    assert len(report.taken) == len(golden.shapes)
    assert not report.made
    clips = golden.input[None, :7]  # Frames and pairs are answered one by one.
    fast = for_inference(network)
    with torch.inference_mode():
        maps = network.maps(clips)
        every = network.heads(maps, snippets=7)
        every |= network.branch.every_head(maps.levels, snippets=7)
        quick = fast(clips)
    theirs = HEADS | {"tsn": "tsn" if name == "port_rgb_off" else "fc"}
    known = {ours: golden.answers[head] for ours, head in theirs.items() if head in golden.answers}
    assert len(known) == (3 if name == "port_rgb_off" else 4)
    for head, expected in known.items():
        for answer in (every, quick) if head in quick else (every,):
            wanted = expected[: answer[head].shape[1]]
            assert relative_error(answer[head][0], wanted) < 1e-4, head


def test_tsn_pytorch_answers_as_the_original(tmp_path: Path) -> None:
    golden = golden_of("tsn_pytorch_rgb")
    state = {f"module.{name}": tensor for name, tensor in golden.weights().items()}
    whole = {"epoch": 80, "arch": "BNInception", "state_dict": state, "best_prec1": 85.5}
    path = pth(tmp_path / "tsn.pth.tar", whole, archive=False)
    network, report, _ = import_weights(path, modality="rgb", classes=CLASSES)
    assert report.source == "TSN of tsn-pytorch"
    assert network.preprocessing.mean == (104.0, 117.0, 128.0)
    with torch.inference_mode():
        logits = network(golden.input.unflatten(1, (-1, 3)))["tsn"].mean(dim=1)
    assert relative_error(logits, golden.answers["logits"]) < 1e-4


@pytest.mark.parametrize("modality", ["flow", "rgbdiff"])
def test_other_modalities_and_weights_go_where_they_go_by_hand(modality, tmp_path: Path) -> None:
    shapes = golden_of("caffe_flow_off").shapes
    channels = {"flow": 10, "rgbdiff": 15}[modality]
    shapes["conv1_7x7_s2.weight"] = (64, channels, 7, 7)
    weights = {name: stand_in(name, shape, seed=5) for name, shape in shapes.items()}
    path = tmp_path / "motion.caffemodel"
    path.write_bytes(caffemodel(weights))
    imported = import_weights(path, modality=modality, classes=CLASSES).network
    by_hand = off_bn_inception(num_classes=101, modality=modality)
    load(by_hand.tsn.backbone, backbone_weights(weights))
    load(by_hand.tsn.head, {k: weights[f"last_linear.{k}"] for k in ("weight", "bias")})
    load(by_hand.branch, branch_weights(weights))
    assert imported.keywords == by_hand.keywords
    theirs = imported.state_dict()
    for name, tensor in by_hand.state_dict().items():
        assert torch.equal(tensor, theirs[name]), name


@pytest.mark.parametrize("modality", ["flow", "rgbdiff"])
def test_a_tsn_of_motion_goes_where_it_goes_by_hand(modality, tmp_path: Path) -> None:
    shapes = golden_of("tsn_pytorch_rgb").shapes
    channels = {"flow": 10, "rgbdiff": 15}[modality]
    shapes["base_model.conv1_7x7_s2.weight"] = (64, channels, 7, 7)
    weights = {name: stand_in(name, shape, seed=6) for name, shape in shapes.items()}
    path = pth(tmp_path / "tsn.pth", {"state_dict": weights})
    imported = import_weights(path, modality=modality, classes=CLASSES).network
    by_hand = tsn_bn_inception(num_classes=101, modality=modality)
    load(by_hand.backbone, backbone_weights(weights, "base_model."))
    load(by_hand.head, {k: weights[f"new_fc.{k}"] for k in ("weight", "bias")})
    theirs = imported.state_dict()
    for name, tensor in by_hand.state_dict().items():
        assert torch.equal(tensor, theirs[name]), name
    if modality == "flow":
        assert imported.preprocessing.mean == (128.0,)
        assert imported.preprocessing.flow == "tvl1"


def test_a_gradient_that_the_port_shares_goes_to_every_unit(tmp_path: Path) -> None:
    shapes = golden_of("port_rgb_off").shapes
    shapes["conv1_7x7_s2.weight"] = (64, 10, 7, 7)
    state = {
        f"module.{name}": torch.full((), 0.5).expand(shape)
        for name, shape in shapes.items()
        if "motion_spatial_grad" not in name
    }
    state["module.sobel_edge_diagonal.conv.weight"] = DIAGONAL.expand(32, 1, 3, 3).clone()
    path = pth(tmp_path / "flow_off.pth", state)
    network, report, _ = import_weights(path, modality="flow", classes=CLASSES)
    assert network.name == "off_bn_inception_port"
    assert len(report.made) == 9
    for level in (network.branch.level28, network.branch.level14, network.branch.level7):
        for unit in level.units:
            assert torch.equal(unit.trained.weight, DIAGONAL.expand(32, 1, 3, 3))
            assert not unit.trained.bias.any()
            assert (unit.reduce.weight == 0.5).all()
