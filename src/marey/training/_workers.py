"""Processes that decode ahead of training, and threads that compute."""

import itertools
import os
import signal
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from types import TracebackType

import torch
from torch.utils.data import DataLoader, Dataset

from marey.data import Key, Sample
from marey.errors import MareyError


def batches_of(
    dataset: Dataset[Sample], keys: Sequence[Sequence[Key]], *, workers: int, pinned: bool = False
) -> Iterator[Sample]:
    """Yield one batch for each group of keys, in their order.

    Args:
        dataset: Where the samples come from.
        keys: The samples of each batch.
        workers: Processes; with 0 the calling one decodes.
        pinned: Put batches where a GPU reads them fastest.

    Raises:
        MareyError: As the dataset raises it, or because a process died.
    """
    loader = DataLoader(
        dataset,
        batch_sampler=keys,  # type: ignore[arg-type]
        num_workers=workers,
        pin_memory=pinned,
        worker_init_fn=partial(_follow, os.getpid()),
    )
    try:
        try:
            batches = iter(loader)
        except OSError as error:
            raise MareyError(
                f"the processes that decode videos do not start ({error}); /dev/shm may be too "
                "small or full. The same command goes on, with --workers 0 in a single process"
            ) from error
        yield from batches
    except MareyError as error:
        # The text from another process begins with its traceback.
        text = str(error).rpartition(f"{type(error).__name__}: ")[2].strip()
        raise type(error)(text) from None


def in_chunks(keys: Iterable[Key], size: int) -> Iterator[list[Key]]:
    """Yield the keys in groups of `size`, and what is left at the end."""
    rest = iter(keys)
    while chunk := list(itertools.islice(rest, size)):
        yield chunk


@contextmanager
def naming_dead_workers() -> Iterator[None]:
    """Say what to do when a process that decodes has died, wherever that is noticed."""
    try:
        yield
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        raise MareyError(
            f"a process that decodes videos died, perhaps because memory ran out ({error}); "
            "the same command goes on, with --workers 0 in a single process"
        ) from error


@contextmanager
def using_threads(count: int | None) -> Iterator[None]:
    """Compute with so many threads, or as many as usual, until the block ends."""
    usual = torch.get_num_threads()
    torch.set_num_threads(count or usual)
    try:
        yield
    finally:
        torch.set_num_threads(usual)


def _follow(training: int, worker: int) -> None:
    """Leave interruptions to the training process, in the process of a worker."""
    if os.getppid() != training:  # It was killed already; DataLoader would wait for ever.
        os._exit(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.excepthook = _tell_unless_hung_up


def _tell_unless_hung_up(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Print what a thread that sends batches died of, unless the training process went away."""
    if not issubclass(kind, EOFError | OSError):
        sys.__excepthook__(kind, error, trace)
