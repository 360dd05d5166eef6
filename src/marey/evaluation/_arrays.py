"""Arrays from files that anyone may have written: plain and whole, or refused."""

import math
import struct
import tokenize
import zipfile
import zlib
from collections import Counter
from lzma import LZMAError
from pathlib import Path
from typing import IO

import numpy as np
from jaxtyping import Shaped
from numpy.lib import format as npy

from marey.errors import MareyError, RefusedError, UsageError
from marey.models import refuse_code

_MOST_BYTES = 4 << 30  # unpacked; ten crops of three heads for all of Kinetics' test videos fit
# What damage makes the readers of archives, compressed data and headers raise.
_DAMAGE = (
    ValueError,
    OSError,
    EOFError,
    LookupError,
    TypeError,
    SyntaxError,
    RuntimeError,
    MemoryError,
    OverflowError,
    struct.error,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
    LZMAError,
)


def read_arrays(path: Path) -> dict[str, Shaped[np.ndarray, "..."]]:
    """Return the arrays of an `.npz` by name; the one of an `.npy` is called `scores`.

    Raises:
        UsageError: There is no such file, it holds something else, or it is damaged.
        RefusedError: It holds Python objects, which can run code when opened.
    """
    if not path.is_file():
        raise UsageError(f"{path}: no such scores file; make one with: marey test MODEL INDEX")
    try:
        with path.open("rb") as file:
            beginning = file.read(6)
            file.seek(0)
            if beginning == npy.MAGIC_PREFIX:
                return {"scores": _array(file, path.stat().st_size)}
            if beginning[:4] == b"PK\x03\x04":
                return _members(file)
            refuse_code(path, file.read(1 << 20))
    except RefusedError as error:
        raise RefusedError(
            f"{path}: holds Python objects (pickle), which can run code when opened, so it was not "
            "opened; save plain arrays instead: numpy.savez(file, scores=..., label=..., video=...)"
        ) from error
    except MareyError as error:
        raise UsageError(f"{path}: not a scores file ({error})") from error
    except _DAMAGE as error:
        reason = str(error) or type(error).__name__
        raise UsageError(f"{path}: not a scores file, or damaged ({reason})") from error
    raise UsageError(f"{path}: not a scores file; neither .npz nor .npy")


def _members(file: IO[bytes]) -> dict[str, Shaped[np.ndarray, "..."]]:
    """Return the arrays of an archive, each of which must be one."""
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        for member in members:
            if member.filename.endswith((".pkl", ".pickle")):
                raise RefusedError(member.filename)
            if not member.filename.endswith(".npy"):
                raise UsageError(f"{member.filename!r} in it is no array")
        name, count = Counter(member.filename for member in members).most_common(1)[0]
        if count > 1:
            raise UsageError(f"{name!r} is in it {count} times")
        size = sum(member.file_size for member in members)
        if size > _MOST_BYTES:
            raise UsageError(f"unpacked it has {size / 1e9:.1f} GB, more than scores ever need")
        arrays = {}
        for member in members:
            with archive.open(member) as packed:
                arrays[member.filename.removesuffix(".npy")] = _array(packed, member.file_size)
        return arrays


def _array(file: IO[bytes] | zipfile.ZipExtFile, size: int) -> Shaped[np.ndarray, "..."]:
    """Return the array in a file of so many bytes; believe no header that does not fit them."""
    version = npy.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise UsageError(f"an array in it has format {version}; scores have (1, 0) or (2, 0)")
    read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, _, dtype = read_header(file)
    if dtype.hasobject:
        raise RefusedError("an array of objects")
    if file.tell() + math.prod(shape) * dtype.itemsize != size:
        raise UsageError(f"an array in it claims to be {dtype} of shape {shape}, but is not")
    file.seek(0)
    return np.asarray(npy.read_array(file, allow_pickle=False))
