"""What clients do on real connections: they go away, are slow, lie, and are many."""

import os
import random
import signal
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx2
import pytest
from services import Served, served

pytestmark = pytest.mark.slow

LIMIT = 1 << 18
FORM = b"Content-Type: multipart/form-data; boundary=b\r\n"
PART = b'--b\r\nContent-Disposition: form-data; name="video"; filename="a.mp4"\r\n\r\n'


@pytest.fixture(scope="module")
def server(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    state = tmp_path_factory.mktemp("real") / "state"
    with served(checkpoint, state, "--max-bytes", str(LIMIT)) as server:
        yield server.warm()


def head(path: str, *lines: bytes) -> bytes:
    more = b"".join(line if line.endswith(b"\r\n") else line + b"\r\n" for line in lines)
    return f"POST {path} HTTP/1.1\r\nHost: localhost\r\n".encode() + more + b"\r\n"


def told(server: Served, beginning: bytes, body: Iterable[bytes]) -> int:
    """Return the status of the first answer to a request of which everything is sent."""
    with server.socket() as connection:
        connection.sendall(beginning)
        # A server that has heard enough may hang up.
        with suppress(ConnectionError):
            for piece in body:
                connection.sendall(piece)
        with suppress(ConnectionError):
            connection.shutdown(socket.SHUT_WR)
        answer = connection.makefile("rb").readline()
        return int(answer.split()[1]) if answer else 0


def chunked(pieces: Iterable[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        yield b"%x\r\n%b\r\n" % (len(piece), piece)
    yield b"0\r\n\r\n"


def settled(measure: Callable[[], object], wanted: object) -> object:
    """Return what is measured, which has some seconds to become what is wanted."""
    for _ in range(200):
        if measure() == wanted:
            break
        time.sleep(0.1)
    return measure()


def dropped(server: Served, number: int) -> None:
    """Begin an upload, and go away in the middle of it."""
    path = ("/v1/predict", "/v1/jobs")[number % 2]
    kind = (b"", FORM)[number // 2 % 2]
    connection = server.socket()
    connection.sendall(
        head(path, b"Content-Length: 250000", kind)
        if kind
        else head(path, b"Content-Length: 250000")
    )
    connection.sendall(
        (PART if kind else b"") + os.urandom(random.Random(number).randrange(200_000))
    )
    if number % 3 == 0:  # Without a farewell: the other side gets a reset.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def test_clients_that_go_away_leave_no_file_descriptor_or_thread(server: Served) -> None:
    for number in range(20):  # Threads are made as they are first needed.
        dropped(server, number)
    empty = ["jobs", "lock", "uploads"]
    assert settled(lambda: server.held()[2], empty) == empty
    before = server.held()
    for number in range(100):
        dropped(server, number)
        if number % 20 == 19:  # Not so many at once that some are turned away unheard.
            assert settled(server.held, before) == before
    assert server.log.read_text().count(" 400 ") >= 100
    assert server.client.post("/v1/predict", content=b"no video").status_code == 422


LIES: dict[str, tuple[bytes, Callable[[], Iterable[bytes]], set[int]]] = {
    "too long by its length": (
        head("/v1/jobs", b"Content-Length: 9999999"),
        lambda: [],
        {413},
    ),
    "too long without a length": (
        head("/v1/jobs", b"Transfer-Encoding: chunked"),
        lambda: chunked([bytes(1 << 16)] * 20),
        {413},
    ),
    "too long in tiny chunks": (
        head("/v1/predict", b"Transfer-Encoding: chunked"),
        lambda: (b"".join(chunked([bytes(16)] * 17_000)),),
        {413},
    ),
    "too long by a form": (
        head("/v1/jobs", b"Transfer-Encoding: chunked", FORM),
        lambda: chunked([PART, *[bytes(1 << 16)] * 20]),
        {413},
    ),
    "longer than it says": (
        head("/v1/predict", b"Content-Length: 3"),
        lambda: [bytes(1 << 16)] * 32,
        {422, 400},
    ),
    "shorter than it says": (
        head("/v1/jobs", b"Content-Length: 100000"),
        lambda: [b"x" * 1000],
        {400, 0},
    ),
    "compressed": (
        head("/v1/jobs", b"Content-Length: 1000", b"Content-Encoding: gzip"),
        lambda: [b"\x1f\x8b" + bytes(998)],
        {415},
    ),
    "ten thousand parts": (
        head("/v1/predict", b"Transfer-Encoding: chunked", FORM),
        lambda: chunked([b'--b\r\nContent-Disposition: form-data; name="x"\r\n\r\ny\r\n'] * 10_000),
        {400},
    ),
    "two lengths": (
        head("/v1/jobs", b"Content-Length: 5", b"Content-Length: 9999999"),
        lambda: [b"hello"],
        {400},
    ),
    "a length and chunks": (
        head("/v1/jobs", b"Content-Length: 9999999", b"Transfer-Encoding: chunked"),
        lambda: chunked([bytes(1 << 16)] * 20),
        {400, 413},
    ),
    "a header without end": (
        b"POST /v1/jobs HTTP/1.1\r\nX: ",
        lambda: [bytes(1 << 16)] * 4,
        {400},
    ),
}


def test_bodies_that_lie_are_refused_and_take_no_memory(server: Served) -> None:
    def all_of_them() -> None:
        for name, (beginning, body, expected) in LIES.items():
            assert told(server, beginning, body()) in expected, name

    for _ in range(2):
        all_of_them()
    before = server.memory()
    for _ in range(5):
        all_of_them()
    grown = server.memory() - before
    assert grown < 1 << 20
    empty = ["jobs", "lock", "uploads"]
    assert settled(lambda: server.held()[2], empty) == empty


def test_an_upload_that_says_nothing_more_is_given_up(server: Served) -> None:
    with server.socket() as connection:
        connection.settimeout(90)
        connection.sendall(head("/v1/predict", b"Content-Length: 1000") + b"x")
        begun = time.monotonic()
        assert connection.recv(100).split()[1] == b"408"
        assert time.monotonic() - begun < 60


def test_an_upload_that_comes_byte_by_byte_is_given_up(server: Served) -> None:
    with server.socket() as connection:
        connection.sendall(head("/v1/jobs", b"Content-Length: 250000"))
        connection.settimeout(0.5)
        answer = b""
        for _ in range(240):
            with suppress(TimeoutError):
                connection.sendall(b"x")
                answer = connection.recv(100)
                break
        assert answer.split()[1] == b"408"


def test_bytes_that_are_no_request_bring_nothing_down(server: Served) -> None:
    rng = random.Random(11)
    good = head("/v1/jobs?name=a.mp4", b"Content-Length: 5", FORM) + b"hello"
    statuses = set()
    for _ in range(300):
        bad = bytearray(good)
        for _ in range(rng.randrange(1, 8)):
            place = rng.randrange(len(bad))
            bad[place : place + rng.randrange(3)] = rng.randbytes(rng.randrange(3))
        statuses.add(told(server, bytes(bad), []))
    assert all(status < 500 for status in statuses)
    assert server.client.get("/livez").status_code == 200
    assert "Traceback" not in server.log.read_text()


@pytest.mark.parametrize(
    "path", ["..", "../_app.py", "../../pyproject.toml", "//etc/passwd", "a/.."]
)
def test_steps_up_that_no_client_takes_away_lead_nowhere(server: Served, path: str) -> None:
    for base in ("/page", f"/v1/jobs/{'0' * 32}"):
        asked = f"GET {base}/{path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
        assert told(server, asked, []) == 404


def test_a_full_queue_turns_away_without_growing(server: Served) -> None:
    def uploads() -> int:
        return len(list((server.state / "uploads").iterdir()))

    grown = []
    for _ in range(8):
        with ExitStack() as held:
            for _ in range(32):
                waiting = held.enter_context(server.socket())
                waiting.sendall(head("/v1/predict", b"Content-Length: 1000") + b"x")
            assert settled(uploads, 32) == 32
            for _ in range(25):
                answer = server.client.post("/v1/predict", content=bytes(LIMIT // 2))
                assert answer.status_code == 503
                assert int(answer.headers["retry-after"]) > 0
            grown.append(server.memory())
        assert settled(uploads, 0) == 0
    assert grown[-1] - grown[1] < 1 << 20


def test_the_server_listens_at_no_other_address_than_it_says(server: Served) -> None:
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", server.port), timeout=5)


def test_sigterm_finishes_what_runs_and_takes_nothing_new(
    checkpoint: Path, clip: Path, tmp_path: Path
) -> None:
    video = clip.read_bytes()
    asked: list[tuple[float, object]] = []
    stop = threading.Event()

    def keep_asking(server: Served) -> None:
        while not stop.is_set():
            begun = time.monotonic()
            try:
                with httpx2.Client(base_url=server.address, timeout=120) as client:
                    answer = client.post("/v1/predict", content=video)
                    asked.append((begun, answer.status_code))
                    if answer.status_code == 503:
                        assert answer.headers["retry-after"]
                        return
            except httpx2.TransportError as error:
                asked.append((begun, error))
                return

    with served(checkpoint, tmp_path / "state") as server, ThreadPoolExecutor(8) as pool:
        server.warm()
        asking = [pool.submit(keep_asking, server) for _ in range(8)]
        while len(asked) < 16:
            time.sleep(0.1)
        accepted = server.client.post("/v1/jobs", content=video).json()["id"]
        ended = time.monotonic()
        code = server.end(signal.SIGTERM)
        stop.set()
        for one in asking:
            one.result()
    assert code == 0
    # Those that were on their way when it was told to end, and all before.
    assert {status for begun, status in asked if begun < ended - 0.5} == {200}
    assert {status for _, status in asked if isinstance(status, int)} <= {200, 503}
    kept = sorted(path.name for path in (tmp_path / "state").iterdir())
    assert [name for name in kept if not name.startswith("jobs.sqlite")] == ["jobs", "lock"]
    assert [path.name for path in (tmp_path / "state" / "jobs").iterdir()] == [accepted]
