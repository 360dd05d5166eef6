"""Weights of RAFT-small from a file that nobody vouches for."""

import pickle
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from marey.errors import CheckpointError, RefusedError, UsageError

from ._raft_network import RAFTSmall

_PREFIX = "module."
"""What training on several GPUs at once put before each name in the released file."""


def load_raft_small(path: Path) -> RAFTSmall:
    """Return the network with the weights of a file as its authors released it.

    Raises:
        UsageError: There is no such file.
        RefusedError: The file holds more than tensors; none of it was run.
        CheckpointError: The file is damaged, or holds other tensors.
    """
    network = RAFTSmall()
    given = _contents(path)
    expected = network.state_dict()
    wrong = _difference(given, expected)
    if wrong:
        raise CheckpointError(
            f"{path} does not hold the weights of RAFT-small: {wrong}; "
            "use the raft-small.pth that the authors of RAFT released"
        )
    network.load_state_dict({name.removeprefix(_PREFIX): given[name] for name in given})
    return network.eval().requires_grad_(False)


def _contents(path: Path) -> Any:
    """Return what a pickle holds if torch knows all of it to be harmless."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about pickles that torch itself would not write
            return torch.load(path, map_location="cpu", weights_only=True)
    except (FileNotFoundError, IsADirectoryError) as error:
        raise UsageError(f"there are no weights {path}; is the path right?") from error
    except OSError:
        raise
    except pickle.UnpicklingError as error:
        raise RefusedError(
            f"{path} holds something other than tensors, which could run code when opened, so it "
            "was not opened; use the raft-small.pth that the authors of RAFT released"
        ) from error
    except Exception as error:  # A damaged pickle fails in any way: KeyError, struct.error, ...
        raise CheckpointError(
            f"{path} is not a file of weights, or it is damaged; copy it again from where it was"
        ) from error


def _difference(given: Any, expected: dict[str, Tensor]) -> str:
    """Return the first thing about a file's tensors that does not fit; empty if all do."""
    if not isinstance(given, dict) or not all(isinstance(name, str) for name in given):
        return "it has no named tensors"
    tensors = {name.removeprefix(_PREFIX): tensor for name, tensor in given.items()}
    for name, tensor in expected.items():
        if name not in tensors:
            return f"it lacks {name}"
        theirs = tensors[name]
        if not isinstance(theirs, Tensor) or theirs.dtype != tensor.dtype or theirs.is_sparse:
            return f"{name} is no plain tensor of 32 bit numbers"
        if theirs.shape != tensor.shape:
            return f"{name} is {tuple(theirs.shape)} where it has {tuple(tensor.shape)}"
    strange = sorted(tensors.keys() - expected.keys())
    return f"it has {strange[0]} too" if strange else ""
