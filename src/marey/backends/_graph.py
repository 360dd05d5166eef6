"""A network as an ONNX graph.

The graph takes `clips` [N, K, C, S, S], already normalised, and returns the logits of each head;
how many videos N and snippets K there are is open. What must be known to use it is written into
its metadata.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor, nn

from marey.errors import UsageError
from marey.models import SNIPPET_CHANNELS, Network, for_inference
from marey.nn import SameConv2d

from ._facts import facts_of
from ._metadata import describe
from ._traced import unchecked

if TYPE_CHECKING:
    import onnx

# Any will do: the graph holds for all. But of two snippets, the single pair would be taken for
# an axis that is always one.
_VIDEOS, _SNIPPETS = 2, 5
_OPSET = 23


class _Heads(nn.Module):
    """A network whose heads come in order and not by name."""

    def __init__(self, network: Network, heads: tuple[str, ...]) -> None:
        super().__init__()
        self.network = network
        self.heads = heads

    def forward(
        self, clips: Float[Tensor, "N K C H W"]
    ) -> tuple[Float[Tensor, "N _ classes"], ...]:
        logits = self.network(clips)
        return tuple(logits[name] for name in self.heads)


def onnx_graph(model: Network) -> "onnx.ModelProto":
    """Return a network as an ONNX graph that describes itself.

    Raises:
        UsageError: The packages for it are not installed.
    """
    require_onnx()
    facts = facts_of(model)
    network = _Heads(for_inference(model).cpu(), facts.heads).eval()
    size = facts.preprocessing.size
    channels = SNIPPET_CHANNELS[facts.modality]
    clips = torch.zeros(_VIDEOS, _SNIPPETS, channels, size, size)
    _with_fixed_padding(network, clips)
    axes = {0: torch.export.Dim("N", min=1), 1: torch.export.Dim("K", min=3)}
    with torch.no_grad(), _quietly():
        program = torch.onnx.export(
            network,
            (clips,),
            dynamo=True,
            opset_version=_OPSET,
            dynamic_shapes=(axes,),
            input_names=["clips"],
            output_names=list(facts.heads),
            external_data=False,
            verbose=False,
        )
    assert program is not None
    graph = program.model_proto
    describe(graph, facts)
    return graph


def _padded(convolution: SameConv2d, seen: Float[Tensor, "B C H W"]) -> nn.Module:
    """Return what answers like a convolution on maps of this size, without padding its kernel."""
    margins: list[int] = []
    for axis in (1, 0):  # Columns come first in a list for padding.
        half = convolution.kernel_size[axis] // 2
        less = convolution.stride[axis] == 2 and seen.shape[2 + axis] % 2 == 0
        margins += [half - less, half]
    rows, columns = convolution.kernel_size
    plain = nn.Conv2d(
        convolution.in_channels,
        convolution.out_channels,
        (rows, columns),
        (convolution.stride[0], convolution.stride[1]),
        groups=convolution.groups,
        bias=convolution.bias is not None,
    )
    plain.load_state_dict(convolution.state_dict())
    return nn.Sequential(nn.ZeroPad2d((margins[0], margins[1], margins[2], margins[3])), plain)


def _with_fixed_padding(network: nn.Module, clips: Float[Tensor, "N K C H W"]) -> None:
    """Replace the convolutions whose padding depends on the size of the maps that they see."""
    seen: dict[nn.Module, Tensor] = {}

    def note(layer: nn.Module, maps: tuple[Tensor, ...]) -> None:
        seen[layer] = maps[0]

    layers = [module for module in network.modules() if isinstance(module, SameConv2d)]
    hooks = [layer.register_forward_pre_hook(note) for layer in layers]
    with torch.inference_mode():
        network(clips)
    for hook in hooks:
        hook.remove()
    for parent in list(network.modules()):
        for name, child in parent.named_children():
            if isinstance(child, SameConv2d):
                setattr(parent, name, _padded(child, seen[child]))


def require_onnx() -> None:
    """Raise UsageError unless graphs can be made."""
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise UsageError(
            f"the package {error.name} is missing, which turns networks into graphs; install "
            "marey[onnx] or marey[openvino]"
        ) from error


@contextmanager
def _quietly() -> Iterator[None]:
    """Keep the exporter from telling users about its own inside, and checks of shapes from it."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with unchecked():
            yield
    finally:
        log.setLevel(level)
