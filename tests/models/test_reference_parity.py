"""The networks answer as the originals did."""

import pytest
import torch
from torch import Tensor

from marey.models import OFF, for_inference, off_bn_inception, tsn_bn_inception

BLOCKS = {
    "motion_conv_trans_28": "level28.stem",
    "motion_conv1_trans_28a": "level28.blocks.0.conv1",
    "motion_conv2_trans_28a": "level28.blocks.0.conv2",
    "motion_conv3_trans_28a": "level28.blocks.0.conv3",
    "motion_conv_branch_28a": "level28.blocks.0.shortcut",
    "motion_conv1_trans_28b": "level28.blocks.1.conv1",
    "motion_conv2_trans_28b": "level28.blocks.1.conv2",
    "motion_conv3_trans_28b": "level28.blocks.1.conv3",
    "motion_conv1_trans_28c": "level28.blocks.2.conv1",
    "motion_conv2_trans_28c": "level28.blocks.2.conv2",
    "motion_conv3_trans_28c": "level28.blocks.2.conv3",
    "fc_action_motion_28": "level28.head",
    "motion_conv_trans_14": "level14.stem",
    "motion_conv1_trans_14a": "level14.blocks.0.conv1",
    "motion_conv2_trans_14a": "level14.blocks.0.conv2",
    "motion_conv3_trans_14a": "level14.blocks.0.conv3",
    "motion_conv_expand_trans_14a": "level14.blocks.0.shortcut",
    "motion_conv1_trans_14b": "level14.blocks.1.conv1",
    "motion_conv2_trans_14b": "level14.blocks.1.conv2",
    "motion_conv3_trans_14b": "level14.blocks.1.conv3",
    "fc_action_motion_14": "level14.head",
    "motion_conv_trans": "level7.stem",
    "motion_conv1_trans": "level7.blocks.0.conv1",
    "motion_conv2_trans": "level7.blocks.0.conv2",
    "motion_conv3_trans": "level7.blocks.0.conv3",
    "motion_conv_branch_trans": "level7.blocks.0.shortcut",
    "fc_action_motion": "level7.head",
}
TAPS = {28: ("3a", "3b"), 14: ("3c", "4a", "4b", "4c", "4d"), 7: ("5a", "5b")}


def backbone_weights(weights: dict[str, Tensor], prefix: str = "") -> dict[str, Tensor]:
    ours = {}
    for name, tensor in weights.items():
        layer, _, kind = name.removeprefix(prefix).rpartition(".")
        if name.startswith(prefix) and layer.startswith(("conv", "inception")):
            part = "bn" if layer.endswith("_bn") else "conv"
            ours[f"{layer.removesuffix('_bn')}.{part}.{kind}"] = tensor
    return ours


def branch_weights(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    ours = {
        f"{layer}.{kind}": weights[f"{theirs}.{kind}"]
        for theirs, layer in BLOCKS.items()
        for kind in ("weight", "bias")
    }
    for level, taps in TAPS.items():
        for position, tap in enumerate(taps):
            for kind in ("weight", "bias"):
                parts = [
                    weights[f"{part}_{tap}.{kind}"]
                    for part in ("motion_spatial_down", "motion_conv_gen")
                    if f"{part}_{tap}.{kind}" in weights
                ]
                ours[f"level{level}.units.{position}.reduce.{kind}"] = torch.cat(parts)
    return ours


def load(module: torch.nn.Module, weights: dict[str, Tensor]) -> None:
    counters = {k: v for k, v in module.state_dict().items() if k.endswith("num_batches_tracked")}
    module.load_state_dict(weights | counters)


def relative_error(answer: Tensor, expected: Tensor) -> float:
    return float((answer - expected).abs().max() / expected.abs().max())


@pytest.mark.parametrize(
    ("golden", "modality"),
    [("caffe_rgb_off", "rgb"), ("caffe_flow_off", "flow")],
    indirect=["golden"],
)
def test_off_on_bn_inception_answers_as_the_original(golden, modality) -> None:
    model = off_bn_inception(num_classes=101, modality=modality)
    weights = golden.weights()
    load(model.tsn.backbone, backbone_weights(weights))
    load(model.tsn.head, {k: weights[f"last_linear.{k}"] for k in ("weight", "bias")})
    load(model.branch, branch_weights(weights))
    fast: OFF = for_inference(model)
    names = {"tsn": "fc", "off7": "fc_motion", "off14": "fc_motion_14", "off28": "fc_motion_28"}
    with torch.inference_mode():
        clips = golden.input[None]
        maps = fast.maps(clips)
        heads = fast.heads(maps, snippets=clips.shape[1])
        every = model.branch.eval().every_head(maps.levels, snippets=clips.shape[1]) | heads
    for ours, theirs in names.items():
        assert relative_error(every[ours][0], golden.answers[theirs]) < 1e-4, ours


@pytest.mark.parametrize("golden", ["tsn_pytorch_rgb"], indirect=True)
def test_tsn_on_bn_inception_answers_as_the_original(golden) -> None:
    model = tsn_bn_inception(num_classes=101).eval()
    weights = golden.weights()
    load(model.backbone, backbone_weights(weights, "base_model."))
    load(model.head, {k: weights[f"new_fc.{k}"] for k in ("weight", "bias")})
    with torch.inference_mode():
        logits = model(golden.input.unflatten(1, (-1, 3)))["tsn"].mean(dim=1)
    assert relative_error(logits, golden.answers["logits"]) < 1e-4
