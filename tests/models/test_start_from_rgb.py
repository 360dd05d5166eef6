import pytest
import torch
from torch.testing import assert_close

from marey.models import build_model, start_from_rgb


@pytest.mark.parametrize("modality", ["flow", "rgbdiff"])
@pytest.mark.parametrize("network", ["tsn_efficientnet_lite0", "tsn_bn_inception"])
def test_a_network_on_motion_begins_with_one_on_rgb_its_colours_averaged(
    network: str, modality: str
) -> None:
    rgb = build_model(network, num_classes=3)
    motion = build_model(network, num_classes=5, modality=modality)  # type: ignore[arg-type]
    head = motion.head.weight.clone()
    start_from_rgb(motion, rgb)
    ours, theirs = motion.backbone.state_dict(), rgb.backbone.state_dict()
    first = next(name for name in ours if ours[name].ndim == 4)
    average = theirs[first].mean(dim=1)
    for channel in range(ours[first].shape[1]):
        assert_close(ours[first][:, channel], average)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours if name != first)
    assert torch.equal(motion.head.weight, head)
