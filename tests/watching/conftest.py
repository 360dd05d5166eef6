"""A server on this machine that serves videos, and dies when a test wants it to."""

import io
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from PIL import Image

Answer = Callable[[BaseHTTPRequestHandler], None]


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Answer], str]]:
    """Serve what a function writes; return the address."""
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    servers = []

    def serve(answer: Answer) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                with suppress(OSError):
                    answer(self)

            def log_message(self, *words: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=[0.02], daemon=True)
        thread.start()
        servers.append((server, thread))
        return f"http://127.0.0.1:{server.server_port}"

    yield serve
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def whole() -> Callable[[bytes], Answer]:
    """Serve bytes with their length."""

    def answers(data: bytes, *, announced: int | None = None) -> Answer:
        def answer(request: BaseHTTPRequestHandler) -> None:
            request.send_response(200)
            request.send_header("Content-Length", str(announced or len(data)))
            request.end_headers()
            request.wfile.write(data)

        return answer

    return answers


@pytest.fixture
def motion_jpeg() -> Callable[..., Answer]:
    """Serve pictures as network cameras do, and then hang up."""

    def answers(count: int, *, before: Callable[[], None] = str) -> Answer:
        def answer(request: BaseHTTPRequestHandler) -> None:
            before()
            request.send_response(200)
            request.send_header("Content-Type", "multipart/x-mixed-replace; boundary=part")
            request.end_headers()
            for number in range(count):
                file = io.BytesIO()
                pixels = np.full((48, 64, 3), 20 + 5 * number, np.uint8)
                Image.fromarray(pixels).save(file, "jpeg")
                data = file.getvalue()
                head = f"--part\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
                request.wfile.write(head.encode() + data + b"\r\n")

        return answer

    return answers
