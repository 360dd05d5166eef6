"""The addresses of the service and what each answers."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp

from ._docs import docs_page, openapi
from ._files import file_of, files_of, missing_of
from ._guard import Guard, refused
from ._jobs import Job
from ._limits import Limits
from ._live import LiveStream
from ._metrics import Metrics
from ._office import Office
from ._refusal import Refusal
from ._upload import receive

_PAGE = Path(str(files("marey") / "serving" / "page"))
_ID = re.compile(r"[0-9a-f]{32}")
_BEAT = 15.0  # Seconds after which a silent stream of events says that it lives.


class Service:
    """The service as an ASGI application.

    Args:
        model: Name of a bundled network, or a checkpoint file.
        name: What clients are told it is.
        classes: Names of its classes.
        state: Folder for jobs.
        limits: What clients may ask for.
        workers: Processes that answer.
        threads: CPU threads of each.
        token: What clients must show, if anything.

    Attributes:
        app: The application.
        office: Where the work is done; made when the application starts.
    """

    def __init__(
        self,
        model: str,
        *,
        name: str,
        classes: tuple[str, ...],
        state: Path,
        limits: Limits,
        workers: int,
        threads: int,
        token: str | None,
    ) -> None:
        self._name, self._classes, self._limits = name, classes, limits
        self.office = Office(model, state=state, limits=limits, workers=workers, threads=threads)
        self._metrics = Metrics(self.office.jobs.counts, lambda: self.office.busy)
        self._live = LiveStream(model, threads, self._metrics.dropped.inc)
        routes = [
            Route("/", self._index),
            Route("/page/{file}", self._page_file),
            Route("/docs", self._docs),
            Route("/openapi.json", self._openapi),
            Route("/v1/model", self._model),
            Route("/v1/predict", self._predict, methods=["POST"]),
            Route("/v1/jobs", self._new_job, methods=["POST"]),
            Route("/v1/jobs/{id}", self._job, methods=["GET"]),
            Route("/v1/jobs/{id}", self._drop, methods=["DELETE"]),
            Route("/v1/jobs/{id}/events", self._events),
            Route("/v1/jobs/{id}/{file}", self._file),
            Route("/livez", self._live_or_not),
            Route("/readyz", self._ready_or_not),
            Route("/metrics", self._counts),
            WebSocketRoute("/v1/stream", self._live.serve),
        ]
        handlers: Any = {Refusal: refused, HTTPException: _plainly}
        inner = Starlette(routes=routes, exception_handlers=handlers, lifespan=self._life)
        inner.router.redirect_slashes = False
        self.app: ASGIApp = Guard(inner, token=token, metrics=self._metrics)

    def document(self, job: Job) -> dict[str, Any]:
        """Return a job as clients see it."""
        jobs = self.office.jobs
        progress = {"done": 1.0, "running": round(self.office.progress_of(job.id), 3)}.get(
            job.status, 0.0
        )
        error = None if job.code is None else {"code": job.code, "message": job.message}
        return {
            "id": job.id,
            "name": job.name,
            "status": job.status,
            "position": jobs.position(job) if job.status == "queued" else 0,
            "progress": progress,
            "result": job.result,
            "error": error,
            "created": _stamp(job.created),
            "expires": _stamp(job.expires),
            "files": files_of(job, jobs.folder(job.id)),
            "missing": missing_of(job, jobs.folder(job.id)),
        }

    @asynccontextmanager
    async def _life(self, app: Starlette) -> AsyncIterator[None]:
        await self.office.open()
        try:
            yield
        finally:
            self._live.close()
            await self.office.close()

    async def _index(self, request: Request) -> Response:
        return _page("index.html")

    async def _page_file(self, request: Request) -> Response:
        return _page(request.path_params["file"])

    async def _docs(self, request: Request) -> Response:
        return docs_page()

    async def _openapi(self, request: Request) -> Response:
        return JSONResponse(openapi())

    async def _model(self, request: Request) -> Response:
        limits = self._limits.as_json()
        return JSONResponse({"name": self._name, "classes": list(self._classes), "limits": limits})

    async def _predict(self, request: Request) -> Response:
        upload = partial(_uploaded, request, self._limits.bytes)
        return JSONResponse(await self.office.predict(upload))

    async def _new_job(self, request: Request) -> Response:
        job = await self.office.accept(
            partial(_uploaded, request, self._limits.bytes),
            annotate=_switch(request, "annotate"),
            maps=_switch(request, "maps"),
        )
        place = {"Location": f"/v1/jobs/{job.id}"}
        return JSONResponse(self.document(job), 202, headers=place)

    async def _job(self, request: Request) -> Response:
        return JSONResponse(self.document(self._asked(request)))

    async def _drop(self, request: Request) -> Response:
        job = self._asked(request)
        await asyncio.to_thread(self.office.jobs.get, job.id)
        self.office.drop(job.id)
        return Response(status_code=204)

    async def _events(self, request: Request) -> Response:
        job = self._asked(request)
        return StreamingResponse(
            self._told(job.id),
            media_type="text/event-stream",
            headers={"X-Accel-Buffering": "no"},
        )

    async def _told(self, job_id: str) -> AsyncIterator[str]:
        before = None
        while not self.office.draining:
            changed = self.office.changed
            job = self.office.jobs.get(job_id)
            if job is None:
                return
            document = json.dumps(self.document(job))
            if document != before:
                before = document
                yield f"event: job\ndata: {document}\n\n"
            if job.over:
                return
            try:
                async with asyncio.timeout(_BEAT):
                    await changed.wait()
            except TimeoutError:
                yield ": still here\n\n"

    async def _file(self, request: Request) -> Response:
        job = self._asked(request)
        folder = self.office.jobs.folder(job.id)
        return file_of(job, folder, request.path_params["file"], request)

    async def _live_or_not(self, request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def _ready_or_not(self, request: Request) -> Response:
        if self.office.draining:
            raise Refusal(503, "draining", "the server is about to stop")
        if not self.office.ready:
            raise Refusal(503, "warming", self.office.trouble or "the server warms up")
        return JSONResponse({"status": "ok"})

    async def _counts(self, request: Request) -> Response:
        return Response(self._metrics.text(), media_type="text/plain; version=0.0.4")

    def _asked(self, request: Request) -> Job:
        job_id = request.path_params["id"]
        job = self.office.jobs.get(job_id) if _ID.fullmatch(job_id) else None
        if job is None:
            raise Refusal(404, "job", "there is no such job; it may have been erased")
        return job


async def _uploaded(request: Request, most: int, file: Path) -> str:
    return await receive(request, file, most)


def _switch(request: Request, name: str) -> bool:
    given = request.query_params.get(name, "0")
    if given not in ("0", "1", "true", "false"):
        raise Refusal(400, "query", f"{name} is 0 or 1")
    return given in ("1", "true")


def _page(name: str) -> Response:
    """Return a file of the page; names are compared, and no path is made of what was asked."""
    for path in _PAGE.glob("*"):
        if path.name == name and path.suffix in _KINDS and path.is_file():
            return FileResponse(path, media_type=_KINDS[path.suffix])
    raise Refusal(404, "path", "there is nothing here")


_KINDS = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


async def _plainly(request: Request, error: Exception) -> Response:
    """Return what the framework refuses in the form of our refusals."""
    assert isinstance(error, HTTPException)
    words = {404: "there is nothing here", 405: "this address takes no such request"}
    message = words.get(error.status_code, "the request cannot be read")
    headers = dict(error.headers or {})
    return Refusal(error.status_code, "request", message, headers).response()


def _stamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
