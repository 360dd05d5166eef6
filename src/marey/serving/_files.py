"""The files of a job, and how they are handed out."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import FileResponse, Response

from marey.annotation import csv_of, srt_of, vtt_of
from marey.predictor import Segment
from marey.streaming import NONE

from ._jobs import UPLOAD, Job
from ._refusal import Refusal
from ._sights import ANNOTATED, MAPS, PREVIEW, WHY

_FILMS = {"annotated": ANNOTATED, "maps": MAPS}
_TEXTS = {
    "json": "application/json",
    "csv": "text/csv; charset=utf-8",
    "srt": "application/x-subrip; charset=utf-8",
    "vtt": "text/vtt; charset=utf-8",
}
# First bytes of what browsers play; the rest was checked when the job ran.
_WEBM = b"\x1a\x45\xdf\xa3"


def files_of(job: Job, folder: Path) -> list[str]:
    """Return the names of the files that a job has."""
    if job.status != "done":
        return []
    plays = (folder / UPLOAD).exists() and not (folder / PREVIEW).with_suffix(WHY).exists()
    names = ["video"] if plays else []
    names += [name for name, file in _FILMS.items() if (folder / file).exists()]
    return [*names, *_TEXTS]


def missing_of(job: Job, folder: Path) -> dict[str, str]:
    """Return why films are missing that the job should have, by their names."""
    if job.status != "done":
        return {}
    files = {name: (folder / file).with_suffix(WHY) for name, file in _FILMS.items()}
    files["video"] = (folder / PREVIEW).with_suffix(WHY)
    return {name: file.read_text(encoding="utf-8") for name, file in files.items() if file.exists()}


def file_of(job: Job, folder: Path, name: str, request: Request) -> Response:
    """Return one of the files.

    Raises:
        Refusal: The job has no such file, or more than one range of it is asked for.
    """
    if name not in files_of(job, folder):
        raise Refusal(404, "file", "the job has no such file, or not yet")
    if name in _TEXTS:
        text = _text(name, job.result or {})
        headers = {"content-disposition": _disposition("attachment", job.name, name)}
        return Response(text, media_type=_TEXTS[name], headers=headers)
    if "," in request.headers.get("range", ""):
        raise Refusal(416, "range", "ask for one range at a time")
    if name == "video":
        preview = folder / PREVIEW
        path = preview if preview.exists() else folder / UPLOAD
        kind, ending = _kind_of(path)
        # Elsewhere than in <video> this is nothing to open: it came from outside.
        shown = _disposition("inline", job.name, ending)
    else:
        path, kind = folder / _FILMS[name], "video/mp4"
        shown = _disposition("inline", job.name, f"{name}.mp4")
    return FileResponse(path, media_type=kind, headers={"content-disposition": shown})


def _kind_of(path: Path) -> tuple[str, str]:
    with path.open("rb") as file:
        webm = file.read(4) == _WEBM
    return ("video/webm", "webm") if webm else ("video/mp4", "mp4")


def _text(name: str, result: dict[str, Any]) -> str:
    if name == "json":
        return json.dumps(result, indent=2) + "\n"
    segments = [Segment(**segment) for segment in result.get("segments", [])]
    if name == "csv":
        return csv_of([(result["video"], segment) for segment in segments])
    shown = [segment for segment in segments if segment.label != NONE]
    return srt_of(shown) if name == "srt" else vtt_of(shown)


def _disposition(kind: str, name: str, ending: str) -> str:
    """Return a Content-Disposition for a name that came from outside (RFC 6266)."""
    stem = Path(name).stem or "video"
    plain = "".join(c if c.isascii() and (c.isalnum() or c in " ._-") else "_" for c in stem)
    whole = quote(f"{stem}.{ending}", safe="")
    return f"{kind}; filename=\"{plain}.{ending}\"; filename*=UTF-8''{whole}"
