"""The networks answer as the originals did."""

import pytest
import torch
from golden import backbone_weights, branch_weights, load, relative_error

from marey.models import OFF, for_inference, off_bn_inception, tsn_bn_inception


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
