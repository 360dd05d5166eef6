"""What an ONNX graph says of itself."""

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

from marey.errors import CheckpointError

from ._facts import Facts, facts_in

if TYPE_CHECKING:
    import onnx

_TENSORS = "tensors_sha256"


def describe(graph: "onnx.ModelProto", facts: Facts) -> None:
    """Replace what programs note of themselves in a graph by what users of it need."""
    inside = graph.graph
    del graph.metadata_props[:], inside.metadata_props[:]
    for part in [*inside.node, *inside.input, *inside.output, *inside.value_info]:
        del part.metadata_props[:]
        part.doc_string = ""
    for tensor in inside.initializer:
        del tensor.metadata_props[:]
    strings = facts.as_strings()
    graph.producer_name, graph.producer_version = "marey", strings["marey"]
    for key, value in strings.items():
        graph.metadata_props.add(key=key, value=value)
    graph.metadata_props.add(key=_TENSORS, value=_tensors_sha256(graph))


def graph_facts(graph: "onnx.ModelProto", *, file: object = "the graph") -> Facts:
    """Return what a graph says of itself.

    Raises:
        CheckpointError: It does not.
    """
    return facts_in(_strings(graph), file=file)


def require_whole(graph: "onnx.ModelProto", *, file: object) -> None:
    """Raise CheckpointError if a weight is not what it was when the graph was described."""
    if _strings(graph).get(_TENSORS) != _tensors_sha256(graph):
        raise CheckpointError(
            f"{file} is damaged: its weights are not those that `marey export` wrote; export the "
            "network again"
        )


def _strings(graph: "onnx.ModelProto") -> Mapping[str, str]:
    return {entry.key: entry.value for entry in graph.metadata_props}


def _tensors_sha256(graph: "onnx.ModelProto") -> str:
    digest = hashlib.sha256()
    for tensor in graph.graph.initializer:
        digest.update(f"{tensor.name} {list(tensor.dims)}".encode())
        digest.update(tensor.raw_data)
    return digest.hexdigest()
