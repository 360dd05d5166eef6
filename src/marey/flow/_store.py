"""A folder with the flow of many videos, found by the videos' paths."""

import hashlib
import json
import os
from pathlib import Path, PurePosixPath

from marey.errors import UsageError, VideoError
from marey.flow._file import FlowReader
from marey.flow._folder import PATTERNS, FlowFolder

SETTINGS = "flow.json"
"""Says what flow a folder holds."""

_SUFFIX = ".mkv"
_MAX_NAME_BYTES = 255


def flow_file(folder: Path, video: str) -> Path:
    """Return where the flow of a video lies below a folder, by its path in an index."""
    name = _inside(video)
    return folder / name.with_name(_short_enough(name.name, _SUFFIX))


def flow_folder(folder: Path, video: str) -> Path:
    """Return where the flow of a video lies as images, which TSN names without the suffix."""
    name = _inside(video)
    # What is left of `...mp4` would lead out of the folder.
    return folder / (name if name.stem in (".", "..") else name.with_suffix(""))


def open_flow(folder: Path, video: str) -> FlowReader | FlowFolder:
    """Return the flow of a video: one file, or images as TSN's tools write them.

    Args:
        folder: Holds the flow of many videos.
        video: Path of the video, as an index has it. Images may also lie in a folder right
            below `folder` that has the video's name alone.

    Raises:
        VideoError: There is none.
    """
    file = flow_file(folder, video)
    if _is_file(file):
        return FlowReader(file)
    images = flow_folder(folder, video)
    for candidate in (images, folder / images.name):
        if any(_is_file(candidate / (PATTERNS[0] % first)) for first in (0, 1)):
            return FlowFolder(candidate)
    raise VideoError(
        f"{video}: {folder} holds no flow of it, neither {file.name} nor a folder of "
        f"{PATTERNS[0] % 1}; make it with: marey flow INDEX --out {folder}"
    )


def require_flow(folder: Path) -> None:
    """Refuse a folder of flow that is not there.

    Raises:
        UsageError: There is no such folder.
    """
    if not folder.is_dir():
        raise UsageError(
            f"{folder}: no such folder of flow; make it with: marey flow INDEX --out {folder}"
        )


def _is_file(path: Path) -> bool:
    # Path.is_file would raise on a name too long for the file system.
    return os.path.isfile(path)  # noqa: PTH113


def _inside(video: str) -> PurePosixPath:
    """Return a video's path without what would lead out of a folder."""
    # The root is a part, too, and may be two slashes.
    parts = [part for part in PurePosixPath(video).parts if part.strip("/") not in ("", "..", ".")]
    return PurePosixPath(*parts or ("video",))


def _short_enough(name: str, suffix: str) -> str:
    """Return the name with a suffix, its end replaced where it would be too long."""
    encoded = name.encode(errors="surrogateescape")
    if len(encoded) + len(suffix) <= _MAX_NAME_BYTES:
        return name + suffix
    digest = hashlib.sha256(encoded).hexdigest()[:16]
    kept = encoded[: _MAX_NAME_BYTES - len(suffix) - len(digest) - 1].decode(errors="ignore")
    return f"{kept}-{digest}{suffix}"


def stored_method(folder: Path) -> str:
    """Return the method of the flow in a folder of `marey flow`; empty if it does not say.

    Raises:
        UsageError: There is no such folder, or what says so cannot be read.
    """
    require_flow(folder)
    settings = folder / SETTINGS
    if not settings.exists():
        return ""
    try:
        return str(json.loads(settings.read_text(encoding="utf-8"))["flow"]["method"])
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{settings} is damaged: {error}; make the flow again") from error
