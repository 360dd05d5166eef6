"""Files that appear under their final name only when they are complete."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path


@contextmanager
def complete_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`, which takes its name when the block ends well.

    The bytes reach the disk before the name does, and the name before this returns, so a
    reader sees the old file or the new one, whole, whatever happens in between. A leftover of
    a killed run is overwritten; after an exception nothing is left.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _beside(path)
    try:
        yield temporary
        sync(temporary)
        temporary.replace(path)
        sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def complete_folder(path: Path) -> Iterator[Path]:
    """Yield a new folder beside `path`, which takes its name when the block ends well.

    As `complete_file`, but a folder of that name is deleted first.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _beside(path)
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        yield temporary
        for file in temporary.iterdir():
            sync(file)
        sync(temporary)
        if path.exists():
            shutil.rmtree(path)
        temporary.rename(path)
        sync(path.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Wait until no other process works in a folder this way; a killed one does not count."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("a") as file:
        # Of this process alone: the workers that it forks do not hold the lock after its death.
        fcntl.lockf(file, fcntl.LOCK_EX)
        yield


def append_line(path: Path, line: str) -> None:
    """Add a line to a file, behind one that a crash cut short; it is on the disk then."""
    with path.open("a+b") as file:
        end = file.seek(0, os.SEEK_END)
        file.seek(max(end - 1, 0))
        cut = file.read(1) not in (b"", b"\n")
        file.write(b"\n" * cut + f"{line}\n".encode())
        file.flush()
        os.fsync(file.fileno())


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8 with plain newlines, complete or not at all."""
    with complete_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def _beside(path: Path) -> Path:
    """Return a name beside a path for what is not complete yet."""
    # Of a fixed length, because the name itself may be as long as names can be.
    short = sha256(path.name.encode(errors="surrogateescape")).hexdigest()[:16]
    return path.with_name(f".{short}.partial{path.suffix[:16]}")


def sync(path: Path) -> None:
    """Wait until the file or folder is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
