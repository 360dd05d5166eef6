"""Videos that lie in object storage, named by an address such as s3://bucket/clip.mp4."""

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

from marey.errors import UsageError, VideoError

_BLOCK_BYTES = 1 << 20


def is_address(path: str) -> bool:
    """Tell whether a path begins with a protocol, as `s3://` does."""
    protocol, mark, _ = path.partition("://")
    return bool(mark) and protocol.isalnum() and protocol.isascii()


@contextmanager
def fetched(path: str, file: Path, *, protocols: Sequence[str]) -> Iterator[Path]:
    """Yield `file`, or for a video at an address a copy that is erased when the block ends.

    Args:
        path: Of the video, as an index has it. An address is taken for one only if its protocol
            is allowed; else it is the name of a file, as any other.
        file: Where such a file lies.
        protocols: Those allowed, as fsspec knows them.

    Raises:
        VideoError: It did not come.
    """
    if not is_address(path) or path.partition("://")[0] not in protocols:
        yield file
        return
    suffix = PurePosixPath(path).suffix[:16]
    with tempfile.TemporaryDirectory(prefix="marey-") as folder:
        copy = Path(folder) / f"video{suffix}"
        _fetch(path, copy)
        yield copy


def require_protocols(protocols: Sequence[str]) -> None:
    """Refuse protocols that there is no reader for.

    Raises:
        UsageError: One is not known, or what reads it is not installed.
    """
    import fsspec

    for protocol in protocols:
        try:
            fsspec.get_filesystem_class(protocol)
        except (ImportError, ValueError) as error:
            raise UsageError(f"{protocol}: videos cannot be fetched by this: {error}") from error


def _fetch(address: str, copy: Path) -> None:
    import fsspec

    try:
        # Not `fsspec.open`, to which `::` in an address chains protocols that nobody allowed.
        storage = fsspec.filesystem(address.partition("://")[0])
        with storage.open(address, "rb") as source, copy.open("wb") as target:
            shutil.copyfileobj(cast(BinaryIO, source), target, _BLOCK_BYTES)
    except FileNotFoundError as error:
        raise VideoError(f"{address}: there is nothing at this address") from error
    except Exception as error:  # Every storage has errors of its own kind.
        raise VideoError(f"{address}: not fetched: {type(error).__name__}: {error}") from error
