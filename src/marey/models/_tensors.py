"""Tensors in a file that cannot run code and in which no bit can change unnoticed.

A `.safetensors` file whose metadata holds one JSON text, `marey`, with the SHA-256 of the
tensors' bytes and that of the header, whose own digits count as zeros.
"""

import hashlib
import json
import pickletools
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from marey.durable import complete_file
from marey.errors import CheckpointError, RefusedError, UsageError

_KEY = "marey"
_ZEROS = "0" * 64
# How a header begins, after its length. Quotation marks inside are escaped: it is JSON in JSON.
_BEGINNING = re.compile(
    rb'.{8}\{"__metadata__":\{"marey":"\{'
    rb'\\"header_sha256\\":\\"([0-9a-f]{64})\\",\\"tensors_sha256\\":\\"([0-9a-f]{64})\\"',
    re.DOTALL,
)
_HEADER, _TENSORS = 1, 2


def save_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> str:
    """Write tensors and return the SHA-256 of their bytes; the same input gives the same file.

    Args:
        path: File that appears, or changes, only when it is complete.
        tensors: Written as contiguous memory, wherever they are.
        metadata: What JSON can hold; `load_tensors` returns it.
    """
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    text = json.dumps(
        {"header_sha256": _ZEROS, "tensors_sha256": _ZEROS, "metadata": metadata},
        separators=(",", ":"),
    )
    # The library writes several keys of metadata in any order, hence the single one.
    data = bytearray(safetensors.torch.save(plain, {_KEY: text}))
    end = _header_end(data)
    tensors_sha256 = hashlib.sha256(memoryview(data)[end:]).hexdigest()
    header = _with_digits(bytes(data[:end]), _TENSORS, tensors_sha256)
    data[:end] = _with_digits(header, _HEADER, hashlib.sha256(header).hexdigest())
    with complete_file(path) as temporary:
        temporary.write_bytes(data)
    return tensors_sha256


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the tensors and the metadata that `save_tensors` wrote.

    Raises:
        UsageError: There is no such file.
        RefusedError: The file could run code; it was not opened.
        CheckpointError: The file is something else, or was changed since.
    """
    tensors, metadata, _ = load_tensors_and_hash(path)
    return tensors, metadata


def load_tensors_and_hash(path: Path) -> tuple[dict[str, Tensor], dict[str, Any], str]:
    """Return what `load_tensors` does, and the SHA-256 of the tensors' bytes."""
    try:
        data = path.read_bytes()
    except (FileNotFoundError, IsADirectoryError) as error:
        raise UsageError(f"there is no checkpoint {path}; is the path right?") from error
    refuse_code(path, data)
    damaged = CheckpointError(
        f"{path} is not a checkpoint of marey, or it is damaged; copy it again from where it was"
    )
    end = _header_end(data)
    header = data[:end]
    beginning = _BEGINNING.match(header)
    if beginning is None:
        raise damaged
    if hashlib.sha256(_with_digits(header, _HEADER, _ZEROS)).hexdigest() != beginning[1].decode():
        raise damaged
    tensors_sha256 = hashlib.sha256(memoryview(data)[end:]).hexdigest()
    if tensors_sha256 != beginning[2].decode():
        raise damaged
    try:
        tensors = safetensors.torch.load(data)
        text = json.loads(data[8:end])["__metadata__"][_KEY]
        metadata = json.loads(text)["metadata"]
    except (SafetensorError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise damaged from error
    return tensors, metadata, tensors_sha256


def refuse_code(path: Path, data: bytes) -> None:
    """Raise RefusedError if the bytes are those of a pickle, alone or in an archive."""
    if may_hold_code(data):
        raise RefusedError(
            f"{path} is a pickle, which can run code when opened, so it was not opened; "
            f"read its weights alone with `marey import {path}`"
        )


def may_hold_code(data: bytes) -> bool:
    """Return whether the bytes are those of a pickle, alone or in an archive."""
    if is_safetensors(data):
        return False
    return data[:4] == b"PK\x03\x04" or data[257:262] == b"ustar" or _is_pickle(data)


def is_safetensors(data: bytes) -> bool:
    """Return whether the bytes begin as a `.safetensors` file does."""
    return _header_end(data) > 8 and data[8:9] == b"{"


def _is_pickle(data: bytes) -> bool:
    """Return whether the bytes begin as a pickle does, without running it."""
    if data[:1] == b"\x80" and data[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about escapes in what may well be no text
            opcodes = pickletools.genops(data[:1_000_000])
            return any(opcode.name == "STOP" for opcode, _, _ in opcodes)
    except ValueError:
        return False


def _header_end(data: bytes | bytearray) -> int:
    """Return where the tensors begin, by what the file's first 8 bytes say."""
    return min(8 + int.from_bytes(data[:8], "little"), len(data))


def _with_digits(header: bytes, position: int, digits: str) -> bytes:
    """Return a header with another hash in the place of its first or second."""
    beginning = _BEGINNING.match(header)
    assert beginning is not None
    start, end = beginning.span(position)
    return header[:start] + digits.encode() + header[end:]
