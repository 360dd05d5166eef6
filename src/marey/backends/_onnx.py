"""Networks run by ONNX Runtime."""

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from marey.errors import CheckpointError, RefusedError, UsageError

from ._metadata import graph_facts, require_whole
from ._runner import ExportedRunner

if TYPE_CHECKING:
    import onnx


class OnnxRunner(ExportedRunner):
    """A network as ONNX Runtime runs it, on the CPU.

    Args:
        graph: From `onnx_graph` or `read_graph`.
        threads: CPU threads.

    Raises:
        UsageError: ONNX Runtime is not installed.
    """

    def __init__(self, graph: "onnx.ModelProto", *, threads: int) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise UsageError(
                "the backend onnx needs the package onnxruntime; install marey[onnx]"
            ) from error
        super().__init__(graph_facts(graph))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            graph.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )

    def __call__(
        self, clips: Float[Tensor, "N K C H W"], /
    ) -> dict[str, Float[Tensor, "N _ classes"]]:
        """Return raw logits of each head."""
        answers = self._session.run(None, {"clips": clips.contiguous().numpy()})
        logits = (torch.from_numpy(answer) for answer in answers)
        return dict(zip(self.facts.heads, logits, strict=True))


def read_graph(path: Path) -> "onnx.ModelProto":
    """Return the graph of a file that `marey export` wrote.

    Raises:
        UsageError: There is no such file, or onnx is not installed.
        RefusedError: The graph wants to read its weights from other files.
        CheckpointError: The file is no graph, or not one of ours.
    """
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ImportError as error:
        raise UsageError(
            "reading .onnx files needs the package onnx; install marey[onnx]"
        ) from error
    graph = onnx.ModelProto()
    try:
        graph.ParseFromString(path.read_bytes())
    except FileNotFoundError as error:
        raise UsageError(f"there is no network {path}; is the path right?") from error
    except DecodeError as error:
        raise CheckpointError(
            f"{path} is not an ONNX file, or it is damaged; export the network again"
        ) from error
    if _wants_other_files(graph):
        raise RefusedError(
            f"{path} keeps weights in other files, which it could choose anywhere, so it was not "
            "opened; `marey export` writes one file"
        )
    graph_facts(graph, file=path)
    require_whole(graph, file=path)
    return graph


def _wants_other_files(graph: "onnx.ModelProto") -> bool:
    """Return whether any tensor, however deep inside, lies in another file."""
    import onnx
    from google.protobuf.message import Message

    def look(message: Message) -> bool:
        if isinstance(message, onnx.TensorProto):
            external = onnx.TensorProto.EXTERNAL
            return message.data_location == external or len(message.external_data) > 0
        for field, value in message.ListFields():
            if field.message_type is None:
                continue
            if any(look(part) for part in (value if field.is_repeated else [value])):
                return True
        return False

    return look(graph)
