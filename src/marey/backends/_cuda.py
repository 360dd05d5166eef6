"""Networks run on a GPU.

A network is hundreds of small kernels, and to launch them one by one can take a processor longer
than a GPU takes to run them. So what is done for the same shape again is recorded once, as a CUDA
graph, and then launched as a whole. `torch.compile` would also join kernels, but needs a
C compiler where the network runs, and minutes for every shape.

Axes: N videos, K snippets of each, C channels, H rows, W columns.
"""

import warnings
from collections.abc import Callable
from threading import Lock

import torch
from jaxtyping import Float
from torch import Tensor, nn

from marey.data import Preprocessing
from marey.models import OFF, Modality, Network, for_inference

Answer = Callable[[Float[Tensor, "N K C H W"]], dict[str, Float[Tensor, "N _ classes"]]]

_MOST_GRAPHS = 8
_WARM_UPS = 2


class CudaRunner:
    """A network on a GPU: with 16-bit floats where the GPU has them, and as CUDA graphs.

    It may be called by several threads, which then wait for each other.

    Args:
        model: What to run; it is left as it is.
        device: The GPU.

    Attributes:
        device: Where clips are best made.
        precision: Numbers that it computes with, `bfloat16` or `float32`.
    """

    def __init__(self, model: Network, device: torch.device) -> None:
        self.device = device
        network = for_inference(model).to(device)
        with torch.cuda.device(device):
            # Older GPUs only pretend to have them, and are slower with them than without.
            halves = torch.cuda.is_bf16_supported(including_emulation=False)
            # For all graphs: they run one after the other, and answers are copied out of it.
            self._memory = torch.cuda.graph_pool_handle()
        self.precision = "bfloat16" if halves else "float32"
        self._network = in_bfloat16(network) if halves else network
        self._answer = ByShape(self._network, self._record)

    @property
    def modality(self) -> Modality:
        """What the snippets hold."""
        return self._network.modality

    @property
    def preprocessing(self) -> Preprocessing:
        """How the snippets are made from frames."""
        return self._network.preprocessing

    @property
    def sees_motion(self) -> bool:
        """Whether it compares snippets, and so needs at least two."""
        return self._network.sees_motion

    @property
    def shapes(self) -> tuple[torch.Size, ...]:
        """Shapes of clips that it has a graph for."""
        return self._answer.recorded

    @torch.inference_mode()
    def __call__(
        self, clips: Float[Tensor, "N K C H W"], /
    ) -> dict[str, Float[Tensor, "N _ classes"]]:
        """Return raw logits of each head, as 32-bit floats."""
        with torch.cuda.device(self.device):
            return self._answer(clips.to(self.device, non_blocking=True))

    def _record(self, clips: Float[Tensor, "N K C H W"]) -> Answer:
        """Return the network as a CUDA graph for clips of this shape."""
        videos, snippets, channels, height, width = clips.shape
        # Laid out as the network wants it, so that to copy clips in is all there is to do.
        place = clips.new_empty(videos, snippets, height, width, channels).permute(0, 1, 4, 2, 3)
        place.copy_(clips)
        here = torch.cuda.current_stream()
        with torch.cuda.stream(here):  # Comes back to it even if recording fails.
            aside = torch.cuda.Stream()
            aside.wait_stream(here)
            with torch.cuda.stream(aside):  # What is only done the first time is not recorded.
                for _ in range(_WARM_UPS):
                    self._network(place)
            here.wait_stream(aside)
            graph = torch.cuda.CUDAGraph()
            # Another thread may pin memory for the next video meanwhile.
            with torch.cuda.graph(graph, pool=self._memory, capture_error_mode="thread_local"):
                heads = self._network(place)

        def answer(clips: Float[Tensor, "N K C H W"]) -> dict[str, Float[Tensor, "N _ classes"]]:
            place.copy_(clips)
            graph.replay()
            return {head: logits.clone() for head, logits in heads.items()}

        return answer


class ByShape:
    """Answers through a recording for each shape of clips that comes again.

    To record takes as long as some answers and keeps memory, so a shape is recorded when it comes
    for the second time, and at most `most` shapes are. All others are answered directly: among
    videos of 25 snippets or more there are one to three shapes, and among shorter ones many.

    Args:
        answer: Answers clips of any shape.
        record: Returns what answers clips of the shape given, quicker.
        most: Shapes to record.
    """

    def __init__(
        self,
        answer: Answer,
        record: Callable[[Float[Tensor, "N K C H W"]], Answer],
        *,
        most: int = _MOST_GRAPHS,
    ) -> None:
        self._direct = answer
        self._record = record
        self._most = most
        self._seen: set[torch.Size] = set()
        self._recordings: dict[torch.Size, Answer] = {}
        self._fails = False
        self._lock = Lock()

    @property
    def recorded(self) -> tuple[torch.Size, ...]:
        """Shapes that are recorded, in the order in which they were."""
        return tuple(self._recordings)

    def __call__(
        self, clips: Float[Tensor, "N K C H W"], /
    ) -> dict[str, Float[Tensor, "N _ classes"]]:
        """Return the answer. A recording has one place for clips, so threads take turns."""
        with self._lock:
            return self._answer_to(clips.shape, clips)(clips)

    def _answer_to(self, shape: torch.Size, clips: Float[Tensor, "N K C H W"]) -> Answer:
        """Return what answers clips of a shape."""
        if shape in self._recordings:
            return self._recordings[shape]
        again = shape in self._seen
        self._seen.add(shape)
        if not again or self._fails or len(self._recordings) >= self._most:
            return self._direct
        try:
            self._recordings[shape] = self._record(clips)
        except RuntimeError as error:  # Also where memory runs out; without, there is enough.
            self._fails = True
            reason = str(error).partition("\n")[0]
            warnings.warn(
                f"the GPU could not record the network for clips of shape {tuple(shape)} "
                f"({reason}); it answers all the same, but more slowly",
                stacklevel=4,
            )
            return self._direct
        return self._recordings[shape]


def in_bfloat16(network: Network) -> Network:
    """Change a network from `for_inference` so that it computes with bfloat16, and return it.

    It takes and returns 32-bit floats. Differences of frames are taken before they are rounded,
    and classifiers have 32 bits: both cost nothing. Features are averaged with 32 bits, too, and
    the average is rounded.
    """
    network.to(torch.bfloat16)
    tsn = network.tsn if isinstance(network, OFF) else network
    tsn.backbone.register_forward_pre_hook(_rounded)
    for module in network.modules():
        if isinstance(module, nn.Linear):
            module.float().register_forward_pre_hook(_widened)
    return network


def _rounded(_: nn.Module, arguments: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return tuple(argument.to(torch.bfloat16) for argument in arguments)


def _widened(_: nn.Module, arguments: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return tuple(argument.float() for argument in arguments)
