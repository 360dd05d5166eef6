"""Graphs of networks, kept between runs: to make one takes seconds, to read it milliseconds."""

import hashlib
import json
from collections.abc import Callable
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import torch

import marey.models
import marey.nn
from marey.cache import cache_folder
from marey.durable import complete_file
from marey.errors import MareyError
from marey.models import Network

from ._facts import facts_of
from ._graph import onnx_graph
from ._onnx import read_graph

if TYPE_CHECKING:
    import onnx

_MOST_BYTES = 2 << 30


def kept_graph(
    model: Network, *, announce: Callable[[str], None] = lambda what: None
) -> "onnx.ModelProto":
    """Return a network as an ONNX graph, from the user's cache if it is there.

    The cache is `marey` in `$XDG_CACHE_HOME` or `~/.cache`; where it cannot be written, the
    graph is made every time. Graphs that were not used for longest give way to new ones.

    Args:
        model: The network.
        announce: Told when the graph must be made.
    """
    path = cache_folder() / f"{_fingerprint(model)}.onnx"
    with suppress(MareyError, OSError):
        graph = read_graph(path)
        path.touch()
        return graph
    announce("turning the network into a graph, once")
    graph = onnx_graph(model)
    with suppress(OSError):
        with complete_file(path) as temporary:
            temporary.write_bytes(graph.SerializeToString())
        _make_room(path.parent)
    return graph


def _fingerprint(model: Network) -> str:
    """Return a hash of all that a graph is made from: the network and the code."""
    digest = hashlib.sha256(json.dumps(facts_of(model).as_strings(), sort_keys=True).encode())
    digest.update(json.dumps(model.keywords, sort_keys=True).encode())
    for package in ("marey", "torch", "onnx", "onnxscript"):
        digest.update(version(package).encode())
    for module in (marey.nn.__file__, marey.models.__file__, __file__):
        assert module is not None
        for source in sorted(Path(module).parent.glob("*.py")):
            digest.update(source.read_bytes())
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()


def _make_room(folder: Path) -> None:
    """Delete the graphs that were not used for longest, until the others fit."""
    files = sorted(folder.glob("*.onnx"), key=lambda file: file.stat().st_mtime, reverse=True)
    total = 0
    for file in files:
        total += file.stat().st_size
        if total > _MOST_BYTES:
            file.unlink(missing_ok=True)
