"""Weights and inputs that the reference answers were computed from, and networks by hand."""

import json
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

GOLDEN = Path(__file__).parents[1].parent / "shared" / "golden"

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


class Golden:
    """What an original network answers for weights and an input that anyone can make again."""

    def __init__(self, path: Path) -> None:
        file = np.load(path)
        self.answers = {
            name: torch.from_numpy(file[name])
            for name in file.files
            if file[name].dtype == np.float32
        }
        self.shapes = {
            str(name): tuple(json.loads(str(shape)))
            for name, shape in zip(file["param_names"], file["param_shapes"], strict=True)
        }
        shape = tuple(file["input_shape"])
        noise = np.random.default_rng(int(file["input_seed"])).standard_normal(shape)
        self.input = torch.from_numpy((noise * float(file["input_scale"])).astype(np.float32))

    def weights(self) -> dict[str, Tensor]:
        return {name: stand_in(name, shape) for name, shape in self.shapes.items()}


def golden_of(name: str) -> Golden:
    path = GOLDEN / f"{name}.npz"
    if not path.exists():
        pytest.skip(f"the reference answers are not here: {path}")
    return Golden(path)


def stand_in(name: str, shape: tuple[int, ...], *, seed: int = 0) -> Tensor:
    x = np.random.default_rng(zlib.crc32(name.encode()) + seed).standard_normal(shape)
    if name.endswith("running_mean") or name.endswith(".bias"):
        x = 0.1 * x
    elif name.endswith("running_var"):
        x = 1 + 0.2 * np.abs(x)
    elif len(shape) == 1:
        x = 1 + 0.1 * x
    else:
        x = x * np.sqrt(2 / np.prod(shape[1:]))
    return torch.from_numpy(x.astype(np.float32))


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
