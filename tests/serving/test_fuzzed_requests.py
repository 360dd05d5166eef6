"""Requests made at random from what the service says of itself, and from what it does not say."""

import json
import random
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from services import over
from starlette.testclient import TestClient

ROOT = Path(__file__).parents[2]
WORDS = (
    *("", "0", "1", "true", "-1", "nan", "9" * 30, "a.mp4", "../../etc/passwd", "%00", "\\\\h\\s"),
    *("<img src=x onerror=x>", "'; DROP TABLE jobs; --", "{{7*7}}", "http://127.0.0.1/", "\u202e"),
    *("video", "annotated", "maps", "json", "csv", "srt", "vtt", "events", "0" * 32, "é" * 300),
)
METHODS = ("GET", "POST", "DELETE", "HEAD", "PUT", "PATCH", "OPTIONS", "TRACE", "BREW")
HEADERS: dict[str, tuple[str, ...]] = {
    "accept": ("*/*", "text/html", "\x7f"),
    "authorization": ("Bearer x", "Basic !!", "Bearer"),
    "content-encoding": ("gzip", "identity", "br"),
    "content-length": ("0", "1", "-1", "9" * 25, "x"),
    "content-type": (
        *("application/json", "multipart/form-data; boundary=b", "multipart/form-data"),
        *("multipart/form-data; boundary=" + "b" * 300, "video/mp4", ";;;=", "text/plain"),
    ),
    "host": ("localhost:8000", "evil.example", "[::1", "", "localhost@evil"),
    "if-range": ("x", '"x"'),
    "origin": ("null", "http://localhost:8000", "http://["),
    "range": ("bytes=0-3", "bytes=9-1", "bytes=-", "lines=1", "bytes=0-0,1-1", "bytes=99999999-"),
    "sec-fetch-site": ("cross-site", "same-origin", "?"),
    "upgrade": ("websocket", "h2c"),
}


class Requests:
    """Makes requests at random, the same for the same seed."""

    def __init__(self, client: TestClient, clip: bytes, job_id: str, seed: int) -> None:
        self._rng = random.Random(seed)
        self.known = job_id
        self._clip = clip
        document = client.get("/openapi.json").json()
        self._paths = [*document["paths"], "/", "/docs", "/page/{file}", "/openapi.json", "/{x}"]
        self._paths.remove("/v1/stream")

    def next(self) -> dict[str, Any]:
        """Return one, as the words of the client."""
        rng = self._rng
        path = rng.choice(self._paths)
        for name in ("id", "file", "x"):
            path = path.replace(f"{{{name}}}", self._part(name))
        names = rng.sample(
            [*HEADERS, "x-" + rng.choice(("a", "forwarded-for"))], rng.choice((0, 0, 1, 3))
        )
        return {
            "method": rng.choice(METHODS[: rng.choice((2, 3, len(METHODS)))]),
            "url": path,
            "params": {rng.choice(("name", "annotate", "maps", "fps", "x")): rng.choice(WORDS)},
            "headers": {name: rng.choice(HEADERS.get(name, WORDS[:8])) for name in names},
            "content": self._body(),
        }

    def _part(self, name: str) -> str:
        rng = self._rng
        if name == "id" and rng.random() < 0.5:
            return self.known
        word = rng.choice(WORDS) + rng.choice(WORDS) * rng.randrange(2)
        return rng.choice((word, quote(word, safe=""), quote(quote(word, safe="")))) or "x"

    def _body(self) -> bytes:
        rng = self._rng
        name = rng.choice(("video", "video", "url", "x" * 300))
        part = f'--b\r\nContent-Disposition: form-data; name="{name}"; filename="a"\r\n\r\n'
        bad = bytearray(self._clip)
        for _ in range(rng.randrange(30)):
            bad[rng.randrange(len(bad))] = rng.randrange(256)
        return rng.choice(
            (
                b"",
                rng.randbytes(rng.randrange(2000)),
                json.dumps({"url": rng.choice(WORDS)}).encode(),
                part.encode()
                + rng.randbytes(100)
                + rng.choice((b"\r\n--b--\r\n", b"\r\n--b", b"")),
                bytes(bad) if rng.random() < 0.2 else b"RIFF" + rng.randbytes(60),
            )
        )


@pytest.mark.parametrize("count", [300, pytest.param(5000, marks=pytest.mark.slow)])
def test_no_request_breaks_the_service_or_makes_it_tell_of_itself(
    client: TestClient, clip: Path, count: int, capsys: pytest.CaptureFixture[str]
) -> None:
    job_id = client.post("/v1/jobs?annotate=1", content=clip.read_bytes()).json()["id"]
    over(client, job_id)
    requests = Requests(client, clip.read_bytes(), job_id, seed=count)
    secrets = (
        *("Traceback", 'File "', "site-packages", str(ROOT), sys.prefix, "jobs.sqlite", "/tmp/"),
        *(f"{name} {version(name)}" for name in ("starlette", "uvicorn", "torch", "marey")),
        *(f"{name}/{version(name)}" for name in ("starlette", "uvicorn", "torch", "marey")),
    )
    statuses = set()
    for _ in range(count):
        asked = requests.next()
        answer = client.request(**asked, follow_redirects=False)
        statuses.add(answer.status_code)
        assert answer.status_code < 500 or answer.status_code in (503, 504), asked
        assert not [word for word in secrets if word in answer.text], asked
        assert "server" not in answer.headers
        # Ranges of files that make no sense are refused in plain words, before we are asked.
        of_a_range = "range" in asked["headers"] and answer.status_code in (400, 416)
        if answer.status_code >= 400 and asked["method"] != "HEAD" and not of_a_range:
            assert answer.headers["content-type"] == "application/json", (asked, answer.text)
            assert set(answer.json()["error"]) == {"code", "message"}
        if asked["method"] == "DELETE" and answer.status_code == 204:
            job_id = client.post("/v1/jobs", content=clip.read_bytes()).json()["id"]
            over(client, job_id)
            requests.known = job_id
    assert {200, 202, 400, 403, 404, 405, 421, 422} <= statuses
    assert count < 5000 or {204, 413, 415} <= statuses
    assert "Traceback" not in capsys.readouterr().err
    while 'marey_jobs{status="queued"} 0.0' not in client.get("/metrics").text:
        time.sleep(0.05)
