"""A network with numbers of 8 bits: post-training quantisation by real clips.

Axes: N videos, K snippets, C channels, H rows, W columns.
"""

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from marey.backends import Runner, describe, graph_facts
from marey.data import Preprocessing
from marey.errors import UsageError
from marey.evaluation import score_snippets
from marey.models import Modality

from ._clips import VIEWS

if TYPE_CHECKING:
    import onnx

# The sums of OFF's shares stay as they are: differences of frames are small beside the frames.
_QUANTISED = ["Add", "AveragePool", "Clip", "Concat", "Conv", "Gemm", "MaxPool", "Relu"]


class _Recorder:
    """A runner that keeps the clips that it was shown."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self.device = torch.device("cpu")
        self.sees_motion = runner.sees_motion
        self.clips: list[Float[Tensor, "N K C H W"]] = []

    @property
    def modality(self) -> Modality:
        return self._runner.modality

    @property
    def preprocessing(self) -> Preprocessing:
        return self._runner.preprocessing

    def __call__(
        self, clips: Float[Tensor, "N K C H W"], /
    ) -> dict[str, Float[Tensor, "N _ classes"]]:
        self.clips.append(clips)
        return {"tsn": torch.zeros(len(clips), clips.shape[1], 1)}


def int8_graph(
    graph: "onnx.ModelProto", runner: Runner, clips: Iterable[Shaped[Tensor, "K C H W"]]
) -> "onnx.ModelProto":
    """Return a graph whose convolutions and sums are of 8-bit integers.

    Kernels have a scale for each channel; maps a range each, the widest that the clips show.

    Args:
        graph: From `onnx_graph`.
        runner: The same network.
        clips: Snippets of real videos; none that a result will be measured on.

    Raises:
        UsageError: ONNX Runtime is not installed.
    """
    try:
        import onnx
        from onnxruntime import quantization
    except ImportError as error:
        raise UsageError(
            "networks of 8 bits are made by the package onnxruntime; install marey[onnx]"
        ) from error

    class Reader(quantization.CalibrationDataReader):
        """Hands out the clips as the network is shown them."""

        def __init__(self) -> None:
            self._clips = _as_shown(runner, clips)

        def get_next(self) -> dict[str, object] | None:
            clip = next(self._clips, None)
            return None if clip is None else {"clips": clip.contiguous().numpy()}

    with TemporaryDirectory() as folder, _quietly():
        plain, prepared, answer = (Path(folder) / name for name in ("plain", "prepared", "int8"))
        plain.write_bytes(graph.SerializeToString())
        quantization.quant_pre_process(plain, prepared, skip_symbolic_shape=True)
        quantization.quantize_static(
            prepared,
            answer,
            Reader(),
            quant_format=quantization.QuantFormat.QDQ,
            per_channel=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            op_types_to_quantize=_QUANTISED,
        )
        made = onnx.load_model(answer)
    describe(made, replace(graph_facts(graph), precision="int8"))
    return made


def _as_shown(
    runner: Runner, clips: Iterable[Shaped[Tensor, "K C H W"]]
) -> Iterator[Float[Tensor, "N K C H W"]]:
    """Yield what a network is shown of each video."""
    for snippets in clips:
        recorder = _Recorder(runner)
        score_snippets(recorder, snippets, views=VIEWS)
        yield from recorder.clips


@contextmanager
def _quietly() -> Iterator[None]:
    """Keep the library from advising users on their graphs."""
    level = logging.root.level
    logging.root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logging.root.setLevel(level)
