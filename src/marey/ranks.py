"""Processes that work on one thing together, as torchrun starts them.

Each has a rank, from 0 on. Work is shared out in stretches, so that what they give in the order
of their ranks is what one process gives, and the first alone writes files.
"""

import json
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import safetensors.torch
import torch
import torch.distributed as dist
from jaxtyping import Num
from torch import Tensor
from torch.distributed.rendezvous import rendezvous

from marey._meeting import part_of_this_start
from marey._pulse import Pulse
from marey.errors import MareyError, UsageError

Told = tuple[dict[str, Tensor], Any]
"""Tensors by name, and what JSON can hold."""

# One may wait for another as long as it takes, which `Pulse` sees to.
_PATIENCE = timedelta(days=30)
_MEETING = timedelta(minutes=10)
_KEY = "about"


@dataclass(frozen=True, slots=True)
class Ranks:
    """The place of this process among those that work together; by default it works alone."""

    rank: int = 0
    count: int = 1

    @property
    def is_first(self) -> bool:
        """Tell whether this is the process that writes."""
        return self.rank == 0

    def share(self, things: int) -> range:
        """Return which of so many things are for this process."""
        return range(self.rank * things // self.count, (self.rank + 1) * things // self.count)

    def wait(self) -> None:
        """Wait until all processes are here."""
        self.sum(torch.zeros(1))

    @contextmanager
    def first_before_others(self) -> Iterator[None]:
        """Let the first process go through the block alone, and then the others."""
        if not self.is_first:
            self.wait()
        yield
        if self.is_first:
            self.wait()

    def all_true(self, here: bool) -> bool:
        """Tell whether something is so in every process."""
        return int(self.sum(torch.tensor([int(here)]))[0]) == self.count

    def sum(self, values: Num[Tensor, " _"]) -> Num[Tensor, " _"]:
        """Return the sum over processes; the same bits in each."""
        if self.count > 1:
            with _naming_the_lost():
                dist.all_reduce(values)
        return values

    def tell(self, make: Callable[[], Told]) -> Told:
        """Return in every process what the first makes."""
        if self.count == 1:
            return make()
        data = _packed(*make()) if self.is_first else b""
        size = int(self.sum(torch.tensor([len(data)]))[0])
        sent = _bytes(data, size)
        with _naming_the_lost():
            dist.broadcast(sent, src=0)
        return _unpacked(sent)

    def gather(self, tensors: Mapping[str, Tensor], about: Any = None) -> list[Told]:
        """Return in every process what each gives, in the order of their ranks."""
        if self.count == 1:
            return [(dict(tensors), about)]
        data = _packed(tensors, about)
        sizes = torch.zeros(self.count, dtype=torch.int64)
        sizes[self.rank] = len(data)
        largest = int(self.sum(sizes).max())
        parts = [torch.empty(largest, dtype=torch.uint8) for _ in range(self.count)]
        with _naming_the_lost():
            dist.all_gather(parts, _bytes(data, largest))
        return [_unpacked(part[:size]) for part, size in zip(parts, sizes.tolist(), strict=True)]


ALONE = Ranks()


@contextmanager
def together(device: str = "cpu") -> Iterator[Ranks]:
    """Yield the place of this process among those that torchrun started; alone if it did not.

    If one of them ends, or hangs, or its computer is lost, the others end within a minute.

    Args:
        device: Where networks run: auto, cpu or cuda. Each process takes a GPU of its own.

    Raises:
        UsageError: There are too few GPUs.
        MareyError: The others cannot be reached.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield ALONE
        return
    backend = _take_device(device)
    with _naming_the_lost():
        torchruns, rank, count = next(rendezvous("env://", timeout=_MEETING))
        store = part_of_this_start(torchruns, rank, count, timeout=_MEETING)
    ranks = Ranks(rank, count)
    # Stubs do not know that stores can be copied.
    with Pulse(store.clone(), rank, count) as pulse:  # type: ignore[attr-defined]
        with _naming_the_lost():
            dist.init_process_group(
                backend, store=store, rank=rank, world_size=count, timeout=_PATIENCE
            )
        pulse.met()
        try:
            yield ranks
            ranks.wait()
        finally:
            dist.destroy_process_group()


def _take_device(device: str) -> str:
    """Let this process use the GPU of its number, and return what the processes talk by."""
    if device not in ("auto", "cpu", "cuda"):
        raise UsageError(
            f"each of several processes takes a GPU of its own, so --device is auto, cpu or cuda; "
            f"got {device}"
        )
    if device == "cpu" or not torch.cuda.is_available():
        return "gloo"
    here, gpus = int(os.environ.get("LOCAL_WORLD_SIZE", "1")), torch.cuda.device_count()
    if here > gpus:
        raise UsageError(
            f"{here} processes on {socket.gethostname()}, which has {gpus} GPUs: start one for "
            "each, or give --device cpu"
        )
    torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    return "cpu:gloo,cuda:nccl"


@contextmanager
def _naming_the_lost() -> Iterator[None]:
    """Say what to do when a process that was talked to is gone."""
    try:
        yield
    except RuntimeError as error:
        why = str(error).split("\n")[0].removeprefix("[").rpartition("] ")[2].partition(". ")[0]
        raise MareyError(
            "another process of this run ended or cannot be reached; what it printed says why. "
            f"The same command goes on from the last save ({why})"
        ) from error


def _packed(tensors: Mapping[str, Tensor], about: Any) -> bytes:
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    said = json.dumps({"names": list(plain), _KEY: about})
    data: bytes = safetensors.torch.save(plain, {_KEY: said})
    return data


def _unpacked(sent: Num[Tensor, " _"]) -> Told:
    data = sent.numpy().tobytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    said = json.loads(header["__metadata__"][_KEY])
    tensors = safetensors.torch.load(data)
    return {name: tensors[name] for name in said["names"]}, said[_KEY]


def _bytes(data: bytes, size: int) -> Num[Tensor, " _"]:
    """Return bytes as a tensor of some size, zeros behind them."""
    padded = torch.zeros(size, dtype=torch.uint8)
    if data:
        padded[: len(data)] = torch.frombuffer(bytearray(data), dtype=torch.uint8)
    return padded
