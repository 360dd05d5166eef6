"""The states of the page, each brought about in a browser."""

import json
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from services import film

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route

RESULT: dict[str, Any] = {
    "video": "clip.avi",
    "status": "ok",
    "reason": "",
    "frames": 100,
    "seconds": 4.0,
    "model": "small",
    "predictions": [
        {"label": "golf", "probability": 0.71},
        {"label": "swing a bat", "probability": 0.2},
        {"label": "pull up", "probability": 0.05},
    ],
    "segments": [
        {"start": 0.0, "end": 1.6, "label": "golf", "probability": 0.8},
        {"start": 1.6, "end": 2.2, "label": "none", "probability": 0.4},
        {"start": 2.2, "end": 4.0, "label": "swing a bat", "probability": 0.66},
    ],
}
WHY = "clip.avi has sound in pcm_mulaw; only annotated videos in .mov can hold it"


def upload(page: "Page", *files: Path) -> None:
    """Choose files."""
    page.wait_for_selector("#limits:has-text('Up to')")
    page.set_input_files("#file", list(files))


def answered(page: "Page", **first: Any) -> None:
    """Let jobs be accepted by nobody, and stay as they are: the first as told, others queued."""
    numbers = count()
    documents: dict[str, dict[str, Any]] = {}

    def accept(route: "Route") -> None:
        number = next(numbers)
        job: dict[str, Any] = {
            "id": f"{number:032x}",
            "name": f"clip {number}.avi",
            "status": "queued",
            "position": number,
            "progress": 0.0,
            "result": None,
            "error": None,
            "created": "2026-01-01T00:00:00.000+00:00",
            "expires": "2026-01-02T00:00:00.000+00:00",
            "files": [],
            "missing": {},
        }
        documents[job["id"]] = job | (first if number == 0 else {})
        route.fulfill(status=202, json=documents[job["id"]])

    def tell(route: "Route") -> None:
        job = documents[route.request.url.split("/jobs/")[1].split("/")[0]]
        if route.request.url.endswith("/events"):
            body = f"event: job\ndata: {json.dumps(job)}\n\n"
            route.fulfill(status=200, content_type="text/event-stream", body=body)
        else:
            route.fulfill(status=200, json=job)

    page.route("**/v1/jobs?*", accept)
    page.route("**/v1/jobs/*", tell)
    page.route("**/v1/jobs/*/events", tell)


def empty(page: "Page", clip: Path) -> None:
    """Nothing is chosen yet."""
    page.wait_for_selector("#limits:has-text('Up to')")


def working(page: "Page", clip: Path) -> None:
    """A video is looked at."""
    answered(page, status="running", progress=0.42)
    upload(page, clip)
    page.wait_for_selector(".card[data-state=running]")


def queue(page: "Page", clip: Path) -> None:
    """Many videos wait for one."""
    answered(page, status="running", progress=0.42)
    upload(page, *[film(clip.with_name(f"number {number}.mp4"), frames=2) for number in range(12)])
    page.wait_for_selector(".card:nth-child(12)[data-state=queued]")


def done(page: "Page", clip: Path) -> None:
    """A video is shown with what is done in it."""
    upload(page, clip)
    page.wait_for_selector("#viewer:not([hidden])")


def error(page: "Page", clip: Path) -> None:
    """Files that are no videos, or too large."""
    wrong, large = clip.with_name("notes.mp4"), clip.with_name("large.mp4")
    wrong.write_bytes(b"no video" * 100)
    large.write_bytes(bytes(2 << 20))
    upload(page, wrong, large)
    page.wait_for_selector(".card:nth-child(2)[data-state=failed]")
    page.wait_for_selector(".card:nth-child(1)[data-state=failed]")


def missing(page: "Page", clip: Path) -> None:
    """What is done is known, but no film of it can be made."""
    why = {"video": WHY, "annotated": WHY, "maps": "the disk is full"}
    files = ["json", "csv", "srt", "vtt"]
    answered(page, status="done", progress=1.0, result=RESULT, files=files, missing=why)
    upload(page, clip)
    page.wait_for_selector("#missing:not([hidden])")


def gone(page: "Page", clip: Path) -> None:
    """The server does not answer any more."""
    page.wait_for_selector("#limits:has-text('Up to')")
    page.route("**/v1/**", lambda route: route.abort())
    upload(page, clip)
    page.wait_for_selector(".card[data-state=failed]")


STATES: dict[str, Callable[["Page", Path], None]] = {
    state.__name__: state for state in (empty, working, queue, done, error, missing, gone)
}
