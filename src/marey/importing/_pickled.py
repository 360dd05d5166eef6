"""Weights from a pickle of PyTorch, of which nothing but tensors is ever made."""

import pickle
import warnings
import zipfile
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor

from marey.errors import CheckpointError, RefusedError

_SWELLING = 2  # PyTorch does not compress, so its archives unpack to their own size


def read_pickled(path: Path) -> dict[str, Tensor]:
    """Return the named tensors of a file of `torch.save`: of a state dict, or of one inside.

    Files of PyTorch before 1.6, which are no archives, are read too.

    Raises:
        RefusedError: The file holds more than tensors and plain values; none of it was run.
        CheckpointError: The file is damaged, or holds no named tensors.
    """
    with path.open("rb") as file:
        _refuse_archives(path, file)
        loaded = _loaded(path, file)
    named = _state_dict(loaded)
    if not named:
        raise CheckpointError(
            f"{path} holds no named tensors, but {_described(loaded)}; give a file of a state dict"
        )
    for name, tensor in named.items():
        if not isinstance(name, str) or not _is_plain(tensor):
            raise CheckpointError(f"{path}: {name!r} is no plain tensor of numbers in a state dict")
    return named


def _refuse_archives(path: Path, file: IO[bytes]) -> None:
    """Refuse archives that PyTorch does not read as tensors alone, or that swell."""
    head = file.read(512)
    if head[257:262] == b"ustar":
        raise RefusedError(
            f"{path} is a tar archive of PyTorch before 0.2, which cannot be read without running "
            "what is in it, so it was not opened; save it anew with the PyTorch that wrote it"
        )
    if head[:4] == b"PK\x03\x04":
        try:
            with zipfile.ZipFile(file) as archive:
                entries = archive.infolist()
        except Exception as error:  # A damaged archive fails in any way.
            raise _damaged(path) from error
        if any(entry.filename.endswith("constants.pkl") for entry in entries):
            raise RefusedError(
                f"{path} is a TorchScript program, which is code, so it was not opened; save the "
                "state dict of the network instead"
            )
        size = file.seek(0, 2)
        unpacked = sum(entry.file_size for entry in entries)
        if unpacked > _SWELLING * size:
            raise RefusedError(
                f"{path} has {size} bytes, but unpacks to {unpacked}, which no file of PyTorch "
                "does, so it was not opened"
            )
    file.seek(0)


def _loaded(path: Path, file: IO[bytes]) -> Any:
    """Return what a pickle holds if torch knows all of it to be harmless."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about pickles that torch itself would not write
            return torch.load(file, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except pickle.UnpicklingError as error:
        raise RefusedError(
            f"{path} holds something other than tensors, which could run code when opened, or it "
            "is damaged; none of it was run. Save the state dict alone, with what wrote the file"
        ) from error
    except Exception as error:  # A damaged pickle fails in any way: KeyError, struct.error, ...
        raise _damaged(path) from error


def _damaged(path: Path) -> CheckpointError:
    return CheckpointError(
        f"{path} is not a file of weights, or it is damaged; copy it again from where it was"
    )


def _state_dict(loaded: Any) -> dict[Any, Any]:
    """Return the state dict, which may be the whole file or lie in it by some name."""
    if not isinstance(loaded, dict):
        return {}
    if isinstance(loaded.get("state_dict"), dict):
        return dict(loaded["state_dict"])
    if any(isinstance(value, Tensor) for value in loaded.values()):
        return dict(loaded)
    inner = [
        value
        for value in loaded.values()
        if isinstance(value, dict) and any(isinstance(tensor, Tensor) for tensor in value.values())
    ]
    return dict(inner[0]) if len(inner) == 1 else {}


def _described(loaded: Any) -> str:
    if isinstance(loaded, dict):
        return f"a dict of {', '.join(sorted(repr(key) for key in loaded)[:5]) or 'nothing'}"
    return f"a {type(loaded).__name__}"


def _is_plain(tensor: Any) -> bool:
    """Return whether it is a tensor whose values lie in memory, one by one."""
    return (
        isinstance(tensor, Tensor)
        and tensor.layout == torch.strided
        and tensor.device.type == "cpu"
        and not tensor.is_quantized
        and not tensor.is_complex()
        and not tensor.is_nested
    )
