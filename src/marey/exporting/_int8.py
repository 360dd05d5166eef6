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
    """Return a graph whose convolutions, and the sums between them, are of 8-bit integers.

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
        stay = _stay(onnx.load_model(prepared))
        quantization.quantize_static(
            prepared,
            answer,
            Reader(),
            quant_format=quantization.QuantFormat.QDQ,
            per_channel=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            op_types_to_quantize=_QUANTISED,
            nodes_to_exclude=stay,
            # Processors without VNNI add up products in 16 bits, which kernels of 8 overflow.
            reduce_range=True,
        )
        made = onnx.load_model(answer)
    describe(made, replace(graph_facts(graph), precision="int8"))
    return made


def _stay(graph: "onnx.ModelProto") -> list[str]:
    """Return the nodes that stay as they are, which are few of the operations.

    They are the first convolution, those that no convolution comes after, and those that make what
    such nodes read. The first convolution is a thirtieth of the work and a third of the error, as
    measured on the bundled network. Differences of maps, squares of them and likely words, which
    OFF that is pooled reads, are small beside the maps, and 8 bits do not hold them.
    """
    nodes = graph.graph.node
    made_by = {name: node for node in nodes for name in node.output}
    convolutions = [node for node in nodes if node.op_type == "Conv"]
    leads = {node.name for node in convolutions}
    wanted = list(convolutions)
    while wanted:
        for name in wanted.pop().input:
            node = made_by.get(name)
            if node is not None and node.name not in leads:
                leads.add(node.name)
                wanted.append(node)
    after = [node for node in nodes if node.name not in leads]
    stay = {node.name for node in [*convolutions[:1], *after]}
    stay |= {made_by[name].name for node in after for name in node.input if name in made_by}
    return [node.name for node in nodes if node.name in stay]


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
