"""Which runtime runs a network."""

import os
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

import torch

from marey.errors import UsageError
from marey.models import Network, choose_device, for_inference

from ._cache import kept_graph
from ._cuda import CudaRunner
from ._facts import Facts
from ._metadata import graph_facts
from ._onnx import OnnxRunner, read_graph
from ._openvino import OpenVINORunner, openvino_network, read_ir
from ._runner import ExportedRunner, Runner

if TYPE_CHECKING:
    import openvino

Backend = Literal["torch", "onnx", "openvino", "openvino-bf16"]
"""What runs a network; `openvino-bf16` is OpenVINO with 16-bit floats, on processors for them."""

EXPORTED = (".onnx", ".xml")
_VARIABLE = "MAREY_BACKEND"


def usual_backend(device: str = "auto") -> Backend:
    """Return what runs networks unless told otherwise.

    That is what the environment variable `MAREY_BACKEND` names; else OpenVINO, where it is
    installed and the device is a CPU; else PyTorch.
    """
    wanted = os.environ.get(_VARIABLE, "")
    if wanted:
        known: tuple[Backend, ...] = get_args(Backend)
        if wanted not in known:
            raise UsageError(f"{_VARIABLE} must be one of {', '.join(known)}, got {wanted!r}")
        return known[known.index(wanted)]
    installed = all(find_spec(name) for name in ("openvino", "onnx", "onnxscript"))
    return "openvino" if installed and choose_device(device).type == "cpu" else "torch"


def runner_of(
    model: Network,
    *,
    backend: Backend | None = None,
    device: str = "auto",
    threads: int | None = None,
    announce: Callable[[str], None] = lambda what: None,
) -> Runner:
    """Return a network ready to answer.

    Args:
        model: What to run; it is left as it is.
        backend: The runtime; `usual_backend` unless given.
        device: `auto`, `cpu` or `cuda`; `torch` alone knows another than the CPU.
        threads: CPU threads of the other runtimes; as many as PyTorch's unless given.
        announce: Told of what takes a while.

    Raises:
        UsageError: The runtime is not installed, or does not know the device.
    """
    backend = backend or usual_backend(device)
    if backend == "torch":
        place = choose_device(device)
        return CudaRunner(model, place) if place.type == "cuda" else for_inference(model).to(place)
    _require_cpu(backend, device)
    graph = kept_graph(model, announce=announce)
    threads = threads or torch.get_num_threads()
    if backend == "onnx":
        return OnnxRunner(graph, threads=threads)
    return _by_openvino(openvino_network(graph), graph_facts(graph), backend, threads)


def read_exported(
    path: Path,
    *,
    backend: Backend | None = None,
    device: str = "auto",
    threads: int | None = None,
) -> ExportedRunner:
    """Return the network of a file that `marey export` wrote, ready to answer.

    Args:
        path: An `.onnx` file, or the `.xml` file of OpenVINO, its `.bin` beside it.
        backend: The runtime; OpenVINO for its own files and where it is installed, unless given.
        device: `auto` or `cpu`.
        threads: CPU threads; as many as PyTorch's unless given.

    Raises:
        UsageError: There is no such file, or the runtime does not know it or is not installed.
        RefusedError: The file wants to read others.
        CheckpointError: The file is damaged, or not ours.
    """
    if backend is None:
        backend = "openvino" if path.suffix == ".xml" or find_spec("openvino") else "onnx"
    _require_cpu(backend, device)
    threads = threads or torch.get_num_threads()
    if backend == "torch":
        raise UsageError(f"PyTorch cannot run {path}; leave --backend out, or take its checkpoint")
    if path.suffix == ".xml":
        if backend == "onnx":
            raise UsageError(f"{path} is for OpenVINO alone; leave --backend {backend} out")
        network, facts = read_ir(path)
        return _by_openvino(network, facts, backend, threads)
    graph = read_graph(path)
    if backend == "onnx":
        return OnnxRunner(graph, threads=threads)
    return _by_openvino(openvino_network(graph), graph_facts(graph), backend, threads)


def _by_openvino(
    network: "openvino.Model", facts: Facts, backend: Backend, threads: int
) -> OpenVINORunner:
    floats: Literal["f32", "bf16"] = "bf16" if backend == "openvino-bf16" else "f32"
    return OpenVINORunner(network, facts, threads=threads, floats=floats)


def _require_cpu(backend: Backend, device: str) -> None:
    if device not in ("auto", "cpu"):
        raise UsageError(f"the backend {backend} runs on the CPU, got device {device!r}; use torch")
