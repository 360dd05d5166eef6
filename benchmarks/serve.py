"""Throughput and latency of `marey serve` with one client and with many.

Starts the server with each number of workers, and lets clients ask for the answer to a bundled
clip again and again. Prints a row each: answers a second, p50 and p99 in seconds, those of
`/livez` meanwhile, the processor seconds that an answer takes, and the memory of all processes.
Answers must equal the first one.

    python benchmarks/serve.py --clients 1 16 --workers 1 2 --requests 48
"""

import argparse
import http.client
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

CLIP = Path(__file__).parents[1] / "src" / "marey" / "clips" / "golf.avi"
PORT = 8765


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 16])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--requests", type=int, default=48)
    parser.add_argument("--video", type=Path, default=CLIP)
    given = parser.parse_args()
    body = given.video.read_bytes()
    print("workers clients answers/s  p50 s  p99 s  livez p99 s  cpu s    MB")
    for workers in given.workers:
        with tempfile.TemporaryDirectory() as state:
            server = start(state, workers)
            try:
                for clients in given.clients:
                    show(workers, clients, given.requests, body, server.pid)
            finally:
                server.send_signal(signal.SIGTERM)
                server.wait(90)
        assert server.returncode == 0, server.returncode


def start(state: str, workers: int) -> "subprocess.Popen[bytes]":
    """Return a server that is ready."""
    words = ["serve", "--port", str(PORT), "--state", state, "--workers", str(workers)]
    server = subprocess.Popen(  # noqa: S603 - Ours.
        [sys.executable, "-m", "marey", *words, "--queue", "128"],
        stderr=subprocess.DEVNULL,
    )
    while True:
        time.sleep(0.2)
        try:
            if ask("GET", "/readyz", b"")[0] == 200:
                break
        except OSError:
            assert server.poll() is None, "the server ended"
    return server


def ask(method: str, path: str, body: bytes) -> tuple[int, bytes]:
    """Return the status and the body of an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=120)
    try:
        connection.request(method, path, body)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def show(workers: int, clients: int, requests: int, body: bytes, pid: int) -> None:
    """Let clients ask, and print what came of it."""
    expected = ask("POST", "/v1/predict?name=clip", body)
    for _ in range(2 * workers):
        ask("POST", "/v1/predict?name=clip", body)

    def one(_: int) -> float:
        begun = time.perf_counter()
        got = ask("POST", "/v1/predict?name=clip", body)
        assert got == expected, got
        return time.perf_counter() - begun

    alive: list[float] = []
    done = threading.Event()

    def check() -> None:
        while not done.wait(0.05):
            begun = time.perf_counter()
            assert ask("GET", "/livez", b"")[0] == 200
            alive.append(time.perf_counter() - begun)

    checking = threading.Thread(target=check)
    checking.start()
    busy = usage(pid)[0]
    begun = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        times = sorted(pool.map(one, range(requests)))
    seconds = time.perf_counter() - begun
    after, held = usage(pid)
    done.set()
    checking.join()
    p50, p99 = (times[min(int(share * len(times)), len(times) - 1)] for share in (0.5, 0.99))
    lives = sorted(alive)[int(0.99 * len(alive))] if alive else 0.0
    print(
        f"{workers:7} {clients:7} {requests / seconds:9.2f} {p50:6.2f} {p99:6.2f} "
        f"{lives:12.3f} {(after - busy) / requests:6.2f} {held:5.0f}",
        flush=True,
    )


def usage(pid: int) -> tuple[float, float]:
    """Return the processor seconds and the resident megabytes of a process and its children."""
    seconds = pages = 0.0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rsplit(")", 1)[1].split()
            if pid in (int(fields[1]), int(folder.name)):
                seconds += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
                pages += int((folder / "statm").read_text().split()[1])
        except OSError:
            continue
    return seconds, pages * os.sysconf("SC_PAGE_SIZE") / 1e6


if __name__ == "__main__":
    main()
