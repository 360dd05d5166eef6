"""Weights and inputs that the reference answers were computed from."""

import json
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

GOLDEN = Path(__file__).parents[2].parent / "shared" / "golden"


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
        return {name: self._weight(name, shape) for name, shape in self.shapes.items()}

    @staticmethod
    def _weight(name: str, shape: tuple[int, ...]) -> Tensor:
        x = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape)
        if name.endswith("running_mean") or name.endswith(".bias"):
            x = 0.1 * x
        elif name.endswith("running_var"):
            x = 1 + 0.2 * np.abs(x)
        elif len(shape) == 1:
            x = 1 + 0.1 * x
        else:
            x = x * np.sqrt(2 / np.prod(shape[1:]))
        return torch.from_numpy(x.astype(np.float32))


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    path = GOLDEN / f"{request.param}.npz"
    if not path.exists():
        pytest.skip(f"the reference answers are not here: {path}")
    return Golden(path)
