import copy
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from matplotlib.image import imread

from marey.drawing import save_maps, sight_of
from marey.errors import UsageError
from marey.models import Network, build_model


@pytest.fixture(scope="module")
def network() -> Network:
    torch.manual_seed(0)
    return build_model("off_efficientnet_lite0", num_classes=2).eval()


def picture(path: Path) -> np.ndarray:
    return 255 * imread(path)[..., :3]


@pytest.mark.parametrize(
    "name",
    [
        "off_efficientnet_lite0",
        "off_pooled_efficientnet_lite0",
        "off_ordered_efficientnet_lite0",
    ],
)
def test_change_in_time_is_drawn_where_something_changes(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = build_model(name, num_classes=2).eval()
    snippets = torch.full((3, 3, 256, 256), 127, dtype=torch.uint8)
    snippets[1, :, 60:120, 60:120] = 255  # A square flashes in the upper left.
    save_maps(network, snippets, tmp_path / "a.png", title="flash")
    drawn = picture(tmp_path / "a.png")
    row = drawn[drawn.shape[0] // 4 : drawn.shape[0] // 2, : drawn.shape[1] // 2]
    height, width = row.shape[:2]
    inside = row[int(0.25 * height) : int(0.5 * height), int(0.2 * width) : int(0.4 * width)]
    outside = row[int(0.7 * height) : int(0.9 * height), int(0.6 * width) : int(0.9 * width)]
    assert inside.mean() > outside.mean() + 20


def test_the_same_snippets_give_the_same_bytes(network: Network, tmp_path: Path) -> None:
    snippets = torch.randint(0, 256, (4, 3, 230, 240), dtype=torch.uint8)
    for name in ("a.png", "b.png"):
        save_maps(network, snippets, tmp_path / name, title="$x_1$ stays as it is")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_flow_is_drawn_below_where_something_moves(network: Network, tmp_path: Path) -> None:
    texture = (
        torch.randint(128, 256, (1, 3, 16, 16), dtype=torch.uint8)
        .repeat_interleave(16, 2)
        .repeat_interleave(16, 3)
    )
    snippets = torch.cat([texture, texture.roll(4, 3), texture.roll(8, 3)])
    still = texture.repeat(3, 1, 1, 1)
    colours = {}
    for name, clip in (("moving", snippets), ("still", still)):
        save_maps(network, clip, tmp_path / f"{name}.png", title="")
        drawn = picture(tmp_path / f"{name}.png")
        row = drawn[int(0.85 * drawn.shape[0]) : int(0.95 * drawn.shape[0])]
        colours[name] = row[:, int(0.2 * row.shape[1]) : int(0.3 * row.shape[1])].mean(axis=(0, 1))
    assert colours["still"].min() > 250  # white
    red, _, blue = colours["moving"]
    assert red > blue + 50  # to the right


def test_a_network_on_flow_is_shown_flow_in_colours() -> None:
    torch.manual_seed(0)
    network = build_model("off_efficientnet_lite0", num_classes=2, modality="flow").eval()
    snippets = torch.full((3, 10, 256, 340), 128, dtype=torch.uint8)
    snippets[:, 0::2] += 40  # levels above rest along x: to the right
    frames = sight_of(network, snippets).frames
    assert (frames[..., 0] > frames[..., 2] + 0.3).all()


@pytest.mark.parametrize("colour", ["rgb", "bgr"])
def test_frames_are_shown_in_their_own_colours_whatever_order_the_network_wants(
    network: Network, colour: Literal["rgb", "bgr"]
) -> None:
    wants = copy.deepcopy(network)
    wants.preprocessing = replace(network.preprocessing, colour=colour)
    snippets = torch.randint(0, 256, (2, 3, 224, 224), dtype=torch.uint8)
    frames = sight_of(wants, snippets).frames
    np.testing.assert_allclose(frames[0], snippets[0].permute(1, 2, 0).numpy() / 255, atol=1e-6)


def test_a_network_without_off_has_no_maps(tmp_path: Path) -> None:
    tsn = build_model("tsn_efficientnet_lite0", num_classes=2)
    with pytest.raises(UsageError, match="only OFF networks have maps"):
        save_maps(tsn, torch.zeros(2, 3, 224, 224, dtype=torch.uint8), tmp_path / "a.png", title="")
    assert not (tmp_path / "a.png").exists()
