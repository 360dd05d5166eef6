"""Videos in a few large files instead of many small ones: tar shards, as WebDataset reads them.

A shard holds, for each entry of an index, the bytes of its video and a JSON text of what the
index says of it: `00000012_clip.mp4` and `00000012_clip.json`.
"""

import io
import json
import posixpath
import re
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path

from marey.durable import alone_in, append_line, complete_file
from marey.errors import UsageError
from marey.index import Entry, Index
from marey.lines import whole_rows

_LEDGER = "shards.jsonl"
_SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,8}")
_OTHERS = re.compile(r"[^A-Za-z0-9_-]+")
_LONGEST = 60
_BLOCK = 512


@dataclass(frozen=True, slots=True)
class _Sample:
    """An entry, and the name that its video has in the shard."""

    entry: Entry
    video: Path
    name: str
    size: int
    stamp: str
    """Changes when the video does."""

    @property
    def text(self) -> bytes:
        """What the index says of it."""
        said = {name: value for name, value in asdict(self.entry).items() if value is not None}
        return (json.dumps(said, sort_keys=True) + "\n").encode()

    @property
    def key(self) -> str:
        """Name of both its files, without what comes after the dot."""
        return self.name.partition(".")[0]

    @property
    def bytes_in_shard(self) -> int:
        """Bytes that it takes, headers and all."""
        return sum(_BLOCK + -(-size // _BLOCK) * _BLOCK for size in (self.size, len(self.text)))


def write_shards(
    index: Index,
    folder: Path,
    *,
    megabytes: float = 512.0,
    each: Callable[[int, int], None] = lambda done, total: None,
) -> Index:
    """Write the videos of an index as shards, and return an index of the videos inside.

    The order is that of the index, and the same videos give the same bytes. A shard has its name
    only when it is complete, and is not written again unless a video of it changed; so the same
    call goes on where an earlier one stopped.

    Args:
        index: The videos; a path that several entries share is written for each.
        folder: Where `shard-000000.tar` and so on are written.
        megabytes: Of a shard, at most, unless a single video is larger.
        each: Is told how many shards are complete, and of how many.

    Raises:
        UsageError: A video is missing or a folder of images, or the folder holds other shards.
        OSError: The disk is full, or a video cannot be read.
    """
    if not megabytes > 0:
        raise UsageError(f"a shard needs room for something, got {megabytes} megabytes")
    samples = [_sample(index, number) for number in range(len(index.entries))]
    shards = list(_filled(samples, megabytes * 1e6))
    entries: list[Entry] = []
    with alone_in(folder):
        known = _known(folder, len(shards))
        for number, shard in enumerate(shards):
            file = folder / _file(number)
            digest = _digest(shard)
            if known.get(file.name) != digest or not file.exists():
                _note(folder, file, "")  # From now on a file of this name is ours.
                _write(shard, file)
                _note(folder, file, digest)
            entries += [
                replace(sample.entry, path=posixpath.join(file.name, sample.name))
                for sample in shard
            ]
            each(number + 1, len(shards))
    return Index(folder, tuple(entries), index.classes)


def _sample(index: Index, number: int) -> _Sample:
    entry = index.entries[number]
    video = index.file(entry)
    if not video.is_file():
        what = "is a folder of images" if video.is_dir() else "is no file"
        raise UsageError(f"{video} {what}; shards hold video files")
    about = video.stat()
    stem, suffix = posixpath.splitext(posixpath.basename(entry.path))
    if not _SUFFIX.fullmatch(suffix):
        suffix = ".bin"
    key = f"{number:08d}_{_OTHERS.sub('_', stem)[:_LONGEST]}"
    stamp = f"{about.st_size} {about.st_mtime_ns}"
    return _Sample(entry, video, key + suffix.lower(), about.st_size, stamp)


def _filled(samples: list[_Sample], room: float) -> Iterator[list[_Sample]]:
    """Yield the samples of each shard."""
    shard: list[_Sample] = []
    taken = 0
    for sample in samples:
        if shard and taken + sample.bytes_in_shard > room:
            yield shard
            shard, taken = [], 0
        shard.append(sample)
        taken += sample.bytes_in_shard
    if shard:
        yield shard


def _file(number: int) -> str:
    return f"shard-{number:06d}.tar"


def _digest(shard: list[_Sample]) -> str:
    """Return what changes when a shard has to be written anew."""
    rows = [[sample.name, sample.stamp, sample.text.decode()] for sample in shard]
    return sha256(json.dumps(rows).encode()).hexdigest()


def _note(folder: Path, shard: Path, made_from: str) -> None:
    append_line(folder / _LEDGER, json.dumps({"shard": shard.name, "made_from": made_from}))


def _known(folder: Path, shards: int) -> dict[str, str]:
    """Return what the shards of a folder were made from; delete ours that are not wanted.

    Raises:
        UsageError: Shards lie there that are not ours.
    """
    ledger = folder / _LEDGER
    rows = whole_rows(ledger) if ledger.exists() else ()
    known = {
        row["shard"]: row["made_from"]
        for row in rows
        if isinstance(row.get("shard"), str) and isinstance(row.get("made_from"), str)
    }
    wanted = {_file(number) for number in range(shards)}
    for file in sorted(folder.glob("shard-*.tar")):
        if file.name not in known:
            raise UsageError(f"{file} is not ours; give an empty folder for the shards")
        if file.name not in wanted:
            file.unlink()
    return known


def _write(shard: list[_Sample], file: Path) -> None:
    with (
        complete_file(file) as temporary,
        tarfile.open(temporary, "w", format=tarfile.USTAR_FORMAT) as tar,
    ):
        for sample in shard:
            with sample.video.open("rb") as video:
                tar.addfile(_header(sample.name, sample.size), video)
            about = f"{sample.key}.json"
            tar.addfile(_header(about, len(sample.text)), io.BytesIO(sample.text))


def _header(name: str, size: int) -> tarfile.TarInfo:
    """Return a header that is the same whoever writes it, and whenever."""
    header = tarfile.TarInfo(name)
    header.size = size
    header.mode = 0o644
    return header
