"""Networks run by OpenVINO."""

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from marey.errors import CheckpointError, UsageError

from ._facts import Facts, facts_in
from ._runner import ExportedRunner
from ._traced import unchecked

if TYPE_CHECKING:
    import onnx
    import openvino

Request = Callable[[np.ndarray], tuple[np.ndarray, ...]]
"""Answers an array with others."""

_KEY = "marey"
_WEIGHTS = "bin_sha256"


class OpenVINORunner(ExportedRunner):
    """A network as OpenVINO runs it, on the CPU.

    By itself OpenVINO would take 16-bit floats where a processor has units for them, and answer
    otherwise there than elsewhere.

    Args:
        network: From `openvino_network` or `read_ir`.
        facts: What it is.
        threads: CPU threads.
        floats: Numbers it computes with, but for those that are 8-bit integers already.

    Raises:
        UsageError: This processor has no units for 16-bit floats.
    """

    def __init__(
        self,
        network: "openvino.Model",
        facts: Facts,
        *,
        threads: int,
        floats: Literal["f32", "bf16"] = "f32",
    ) -> None:
        core = _core()
        if floats == "bf16":
            if "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
                raise UsageError(
                    "this processor has no units for 16-bit floats, which would be slower than "
                    "32; take the backend openvino"
                )
            if facts.precision == "float32":
                facts = replace(facts, precision="bfloat16")
        super().__init__(facts)
        self._request = core.compile_model(
            network,
            "CPU",
            _how(threads, floats),
        ).create_infer_request()

    def __call__(
        self, clips: Float[Tensor, "N K C H W"], /
    ) -> dict[str, Float[Tensor, "N _ classes"]]:
        """Return raw logits of each head."""
        answers = self._request.infer([clips.contiguous().numpy()], share_inputs=True)
        # Copied, because the next call writes into the same memory.
        logits = (torch.from_numpy(np.array(answer)) for answer in answers.to_tuple())
        return dict(zip(self.facts.heads, logits, strict=True))


def compiled(module: nn.Module, given: Tensor, threads: int) -> Request:
    """Return what a module answers to arrays like the one given, computed by OpenVINO.

    The arrays that it returns are written anew by the next call. How many there are in an array,
    its first axis, is open.
    """
    import openvino

    with unchecked(), torch.no_grad():
        network = openvino.convert_model(
            module, example_input=given, input=[(-1, *given.shape[1:])]
        )
    request = _core().compile_model(network, "CPU", _how(threads, "f32")).create_infer_request()
    return lambda array: request.infer([array], share_inputs=True).to_tuple()


def _how(threads: int, floats: str) -> dict[str, Any]:
    """Return how OpenVINO is to compute."""
    return {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": threads,
        # Pinned, few threads of two processes share the first cores and leave the others.
        "ENABLE_CPU_PINNING": threads >= (os.cpu_count() or 1),
        "INFERENCE_PRECISION_HINT": floats,
    }


@cache
def _core() -> "openvino.Core":
    """Return the one core of this process, which stays to its end.

    Each core gives its thread another stack for signals and takes it away when it goes. If the
    first of two goes first, the stack that the second puts back is gone, and the next Ctrl-C
    brings the process down (openvinotoolkit/openvino#11894).
    """
    import openvino

    return openvino.Core()


def openvino_network(graph: "onnx.ModelProto") -> "openvino.Model":
    """Return an ONNX graph as OpenVINO's own.

    Raises:
        UsageError: OpenVINO is not installed.
    """
    try:
        core = _core()
    except ImportError as error:
        raise UsageError(
            "the backend openvino needs the package openvino; install marey[openvino]"
        ) from error
    return core.read_model(graph.SerializeToString())


def read_ir(path: Path) -> tuple["openvino.Model", Facts]:
    """Return the network of an .xml file that `marey export` wrote, and what it is.

    Raises:
        UsageError: There is no such file, or OpenVINO is not installed.
        CheckpointError: It or the .bin file beside it is damaged, or not ours.
    """
    try:
        core = _core()
    except ImportError as error:
        raise UsageError(
            "reading .xml files needs the package openvino; install marey[openvino]"
        ) from error
    weights = path.with_suffix(".bin")
    for file in (path, weights):
        if not file.is_file():
            raise UsageError(
                f"there is no file {file}; a network of OpenVINO is two, .xml and .bin"
            )
    try:
        network = core.read_model(path, weights)
    except RuntimeError as error:
        raise CheckpointError(
            f"{path} is not a network of OpenVINO, or it is damaged; export it again"
        ) from error
    try:
        strings = json.loads(str(network.get_rt_info(_KEY).astype(str)))
    except (RuntimeError, ValueError):
        strings = {}
    facts = facts_in(strings, file=path)
    if strings.get(_WEIGHTS) != _sha256(weights):
        raise CheckpointError(
            f"{weights} is damaged, or does not belong to {path}; export the network again"
        )
    return network, facts


def write_ir(network: "openvino.Model", facts: Facts, path: Path) -> None:
    """Write a network into an .xml file, and its weights into a .bin file beside it."""
    import openvino

    weights = path.with_suffix(".bin")
    openvino.save_model(network, path, compress_to_fp16=False)
    strings = facts.as_strings() | {_WEIGHTS: _sha256(weights)}
    network.set_rt_info(json.dumps(strings), _KEY)
    openvino.save_model(network, path, compress_to_fp16=False)


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
