"""The clips of a folder of class folders, looked through before anything is learnt from them."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

from marey.durable import append_line
from marey.errors import UsageError
from marey.index import (
    Entry,
    Index,
    check_index,
    prepare_folder,
    read_index,
    same_videos,
    write_index,
)
from marey.lines import whole_rows

from ._folds import recording_of

_SHOWN = 3
_INDEX = "index.csv"
_CHECKED = "checked.jsonl"

_Row = dict[str, Any]
_KINDS = {"path": str, "stamp": str, "status": str, "reason": str, "frames": int}


@dataclass(frozen=True, slots=True, kw_only=True)
class Clips:
    """What a folder of class folders holds."""

    index: Index
    """The clips that can be used, by their paths from the folder."""

    listed: Path
    """The same as a file, which `read_index` reads; its paths start from where it lies."""

    frames: int
    """Frames of a clip of middling length."""

    damaged: Mapping[str, str]
    """Clips that are used as far as they can be, and why."""

    unusable: Mapping[str, str]
    """Clips that are left out, and why."""

    same: tuple[tuple[str, str], ...]
    """Clips that hold the same bytes as an earlier one, which comes first; they share its
    recording."""

    extra: tuple[str, ...]
    """Videos that lie in no class folder."""


def gather_clips(
    folder: Path, out: Path, *, each: Callable[[int, int], None] = lambda done, total: None
) -> Clips:
    """Find the clips of a folder, decode each once, and write the index of those of use.

    What a clip was found to be is kept in `out`, and it is not decoded again unless it changes.
    The folder itself is only read.

    Args:
        folder: `<class>/<video>`, as `prepare_folder` takes it.
        out: Where `index.csv` is written.
        each: Is told how many clips have been decoded, and of how many.

    Raises:
        UsageError: There are no class folders, no clip can be used, `out` lies among the
            clips, or it holds the index of other clips.
    """
    prepared = prepare_folder(folder)
    _require_apart(prepared.index, out)
    verdicts = _checked(prepared.index, out / _CHECKED, each)
    unusable = {
        path: row["reason"] for path, row in verdicts.items() if row["status"] == "unusable"
    }
    kept = tuple(entry for entry in prepared.index.entries if entry.path not in unusable)
    if not kept:
        first, reason = next(iter(unusable.items()))
        raise UsageError(
            f"{folder}: none of its {len(unusable)} clips can be used, such as {first}: {reason}"
        )
    # A class all of whose clips are broken is an error of its own later, so it stays a class.
    clips = replace(prepared.index, entries=kept)
    same = _same(clips)
    clips = _with_copies_together(clips, same)
    listed = out / _INDEX
    if listed.exists():
        _require_same(clips, listed)
    else:
        write_index(clips, listed)
    return Clips(
        index=clips,
        listed=listed,
        frames=int(median(verdicts[entry.path]["frames"] for entry in kept)),
        damaged={
            path: row["reason"] for path, row in verdicts.items() if row["status"] == "damaged"
        },
        unusable=unusable,
        same=same,
        extra=prepared.extra,
    )


def read_verdicts(ledger: Path) -> dict[str, _Row]:
    """Return what earlier runs say of each clip, by its path; a damaged line says nothing."""
    rows = whole_rows(ledger) if ledger.exists() else ()
    return {
        row["path"]: row
        for row in rows
        if {name: type(value) for name, value in row.items()} == _KINDS
    }


def _checked(clips: Index, ledger: Path, each: Callable[[int, int], None]) -> dict[str, _Row]:
    """Return what is known of each clip, by its path, and find out what is not."""
    known = read_verdicts(ledger)
    stamps = {entry.path: _stamp(clips.file(entry)) for entry in clips.entries}
    known = {
        path: row for path, row in known.items() if path in stamps and row["stamp"] == stamps[path]
    }
    fresh = tuple(entry for entry in clips.entries if entry.path not in known)
    each(len(known), len(clips.entries))
    if fresh:
        ledger.parent.mkdir(parents=True, exist_ok=True)
        for report in check_index(replace(clips, entries=fresh)):
            row = {
                "path": report.video,
                "stamp": stamps[report.video],
                "status": report.status,
                "reason": report.reason,
                "frames": report.frames,
            }
            append_line(ledger, json.dumps(row))
            known[report.video] = row
            each(len(known), len(clips.entries))
    return {entry.path: known[entry.path] for entry in clips.entries}


def _same(clips: Index) -> tuple[tuple[str, str], ...]:
    """Return each clip that is a copy of an earlier one, after that one."""
    apart = tuple(replace(entry, split=entry.path) for entry in clips.entries)
    pairs = same_videos(replace(clips, entries=apart))
    return tuple((one.path, other.path) for one, other in pairs)


def _with_copies_together(clips: Index, same: tuple[tuple[str, str], ...]) -> Index:
    """Return the clips with copies, and what shares a recording with them, in one recording."""
    recordings = {entry.path: recording_of(entry) for entry in clips.entries}
    touched = set()
    for one, other in same:
        kept, gone = recordings[one], recordings[other]
        touched.add(kept)
        recordings = {path: kept if name == gone else name for path, name in recordings.items()}
    return replace(
        clips,
        entries=tuple(
            replace(entry, group=recordings[entry.path])
            if recordings[entry.path] in touched
            else entry
            for entry in clips.entries
        ),
    )


def _stamp(file: Path) -> str:
    """Return what changes when a file does."""
    about = file.stat()
    return f"{about.st_size} {about.st_mtime_ns}"


def _require_apart(clips: Index, out: Path) -> None:
    """Refuse to write where the user's clips are."""
    place = out.resolve()
    folders = {clips.root.resolve()}
    for entry in clips.entries:
        file = clips.file(entry)
        folders |= {(clips.root / entry.path.split("/")[0]).resolve(), file.parent.resolve()}
    if place in folders or any(
        place.is_relative_to(one) for one in folders - {clips.root.resolve()}
    ):
        raise UsageError(f"{out} is where the clips are; name another folder with --out")


def _require_same(clips: Index, listed: Path) -> None:
    """Refuse to go on with other clips than those that a run began with."""
    began = read_index(listed)
    theirs = {_resolved(began, entry) for entry in began.entries}
    ours = {_resolved(clips, entry) for entry in clips.entries}
    if theirs == ours:
        return
    changes = [
        f"{len(paths)} {word}, such as {', '.join(sorted(paths)[:_SHOWN])}"
        for word, paths in (
            ("new", {path for path, _ in ours - theirs}),
            ("gone or of no use now", {path for path, _ in theirs - ours}),
        )
        if paths
    ]
    raise UsageError(
        f"{clips.root} no longer holds the clips that {listed.parent} began with: "
        f"{'; '.join(changes)}. Give another --out to learn from what is there now"
    )


def _resolved(index: Index, entry: Entry) -> tuple[str, str]:
    """Return where a clip lies, and its class."""
    return str(index.file(entry).resolve()), entry.label
