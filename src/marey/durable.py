"""Files that appear under their final name only when they are complete."""

import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

# Errors of writing, of which the system does not say in which file.
_NAMELESS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


@contextmanager
def complete_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`, which takes its name when the block ends well.

    The bytes reach the disk before the name does, and the name before this returns, so a
    reader sees the old file or the new one, whole, whatever happens in between. A leftover of
    a killed run is overwritten; after an exception nothing is left. Another process that writes
    the same file waits meanwhile.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _beside(path)
    with naming(path, temporary), _held(temporary):
        try:
            yield temporary
            sync(temporary)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync(path.parent)


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
    """Wait until no other process works in a folder this way; a killed one does not count.

    The folder may be deleted meanwhile.
    """
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            file = (folder / "lock").open("a")
        except FileNotFoundError:  # Just deleted; see below.
            continue
        with file:
            # Of this process alone: the workers that it forks do not hold it after its death.
            fcntl.lockf(file, fcntl.LOCK_EX)
            # The one before may have deleted the folder.
            if _is_at(folder / "lock", file.fileno()):
                yield
                return


def append_line(path: Path, line: str) -> None:
    """Add a line to a file, behind one that a crash cut short; it is on the disk then."""
    with naming(path), path.open("a+b") as file:
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


@contextmanager
def _held(temporary: Path) -> Iterator[None]:
    """Have an empty file that no other process holds until the block ends; make it, if needed."""
    while True:
        file = os.open(temporary, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            with suppress(OSError):  # Some file systems know no locks.
                fcntl.flock(file, fcntl.LOCK_EX)
            # Whoever held it until now has given it its final name, or deleted it.
            if _is_at(temporary, file):
                os.ftruncate(file, 0)
                yield
                return
        finally:
            # Not left to the closing: a forked copy of this process may have it open, too.
            with suppress(OSError):
                fcntl.flock(file, fcntl.LOCK_UN)
            os.close(file)


def _is_at(path: Path, file: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file))
    except FileNotFoundError:
        return False


@contextmanager
def naming(path: Path, temporary: Path | None = None) -> Iterator[None]:
    """Say that `path` does not fit on the disk where the system names no file, or `temporary`."""
    try:
        yield
    except OSError as error:
        if error.errno not in _NAMELESS or error.filename not in (None, str(temporary)):
            raise
        what = error.strerror or ""
        if error.errno == errno.ENOSPC:
            free = shutil.disk_usage(path if path.is_dir() else path.parent).free
            what += f"; it needs more than the {free:,} bytes that are free"
        raise OSError(error.errno, what, str(path)) from error


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
