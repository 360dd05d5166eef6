"""What becomes of OFF networks that lack something, or have something else."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from golden import golden_of
from made_files import DIAGONAL, pth
from torch import Tensor

from marey.errors import CheckpointError
from marey.importing import Imported, import_weights

CLASSES = [f"class {number}" for number in range(101)]
GRADIENT = "motion_spatial_grad_4b"


@pytest.fixture
def off() -> dict[str, Tensor]:
    """The tensors of OFF on RGB, as the original has them."""
    shapes = golden_of("caffe_rgb_off").shapes
    return {name: torch.full((), 0.25).expand(shape) for name, shape in shapes.items()}


@pytest.fixture
def imported(tmp_path: Path) -> Callable[..., Imported]:
    def run(state: dict[str, Tensor], **options) -> Imported:
        path = pth(tmp_path / "off.pth", state)
        return import_weights(path, modality="rgb", classes=CLASSES, **options)

    return run


def test_off_without_any_gradient_kernels_is_ours(off, imported) -> None:
    network, report, _ = imported(off)
    assert network.name == "off_bn_inception"
    assert network.keywords["gradient"] == "diagonal"
    assert report.source == "OFF in PyTorch with the fixed gradient"
    assert len(report.taken) == len(off)


def test_off_without_spatial_parts_takes_no_spatial_gradient(off, imported) -> None:
    plain = {k: v for k, v in off.items() if "spatial" not in k}
    for level, channels in (("_28", 256), ("_14", 896), ("", 768)):
        name = f"motion_conv_trans{level}.weight"
        plain[name] = plain[name][:1, :1].expand(off[name].shape[0], channels, -1, -1)
    network = imported(plain).network
    assert network.keywords["gradient"] == "none"
    assert network.branch.level28.units[0].spatial_channels == 0


def test_the_head_that_only_training_needs_may_be_missing(off, imported) -> None:
    network, report, _ = imported({k: v for k, v in off.items() if "action_motion_28" not in k})
    assert set(report.made) == {"branch.level28.head.weight", "branch.level28.head.bias"}
    assert not network.branch.level28.head.weight.any()
    assert not network.branch.level28.head.bias.any()
    assert any("only training needs" in line for line in report.lines())


@pytest.mark.parametrize("lost", ["fc_action_motion_28.bias", "fc_action_motion_14.weight"])
def test_any_other_part_of_a_head_may_not(lost: str, off, imported) -> None:
    with pytest.raises(CheckpointError, match=f"1 missing \\({lost}"):
        imported({k: v for k, v in off.items() if k != lost})


def test_kernels_that_are_not_the_fixed_ones_are_an_error_in_ours(off, imported) -> None:
    right = {
        f"{GRADIENT}.weight": DIAGONAL.expand(32, 1, 3, 3),
        f"{GRADIENT}.bias": torch.zeros(32),
    }
    report = imported(off | right, model="off_bn_inception").report
    assert set(report.left_out) == set(right)
    for name, tensor in right.items():
        with pytest.raises(CheckpointError, match=f"{name} is not the fixed gradient"):
            imported(off | right | {name: tensor + 0.1}, model="off_bn_inception")


def test_a_port_that_lacks_one_kernel_is_an_error(off, imported) -> None:
    kernels = {
        k.replace("down", "grad"): torch.zeros(32, 1, 3, 3) if "weight" in k else torch.zeros(32)
        for k in off
        if "spatial_down" in k
    }
    assert imported(off | kernels).network.name == "off_bn_inception_port"
    del kernels[f"{GRADIENT}.bias"]
    with pytest.raises(
        CheckpointError, match=rf"off_bn_inception_port.*missing \({GRADIENT}\.bias"
    ):
        imported(off | kernels)


def test_the_branch_is_left_over_where_a_tsn_is_asked_for(off, imported) -> None:
    with pytest.raises(CheckpointError, match=r"90 left over \(motion_conv_gen_3a"):
        imported(off, model="tsn_bn_inception")
