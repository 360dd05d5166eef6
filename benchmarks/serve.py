"""Throughput and latency of `marey serve` with one client, with many, and for long.

Starts the server with each number of workers, and lets clients ask for the answer to a bundled
clip again and again. Prints a row each: answers a second, how often as many as with the first
number of clients; p50 and p99 in seconds; p99 as a share of three times what a fair queue would
take, which is the time of one request alone times the clients over the workers; p99 of `/livez`
meanwhile; requests that were told to come again; the processor seconds that an answer takes; and
the memory of all processes. Answers must equal the first one.

    python benchmarks/serve.py --clients 1 16 --workers 1 2 --requests 48
    python benchmarks/serve.py --tiny --clients 1 64 --workers 2 --requests 1280
    python benchmarks/serve.py --tiny --full
    python benchmarks/serve.py --minutes 30 --load 0.8

`--tiny` serves a network that sees 64 x 64 pixels. `--full` fills a queue of four, and measures how
long it takes to be turned away. `--minutes` asks at a share of the rate that the server can bear.
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
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

CLIP = Path(__file__).parents[1] / "src" / "marey" / "clips" / "golf.avi"
PORT = 8765
MEGABYTE = 1e6


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 16])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--requests", type=int, default=48)
    parser.add_argument("--video", type=Path, default=CLIP)
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--minutes", type=float, default=0.0)
    parser.add_argument("--load", type=float, default=0.8)
    given = parser.parse_args()
    body = given.video.read_bytes()
    if given.full:
        with served(given.workers[0], given.tiny, queue=4) as pid:
            turn_away(body, pid)
    elif given.minutes:
        with served(given.workers[-1], given.tiny) as pid:
            soak(body, pid, given.workers[-1], 60 * given.minutes, given.load)
    else:
        print(
            "workers clients answers/s  times  p50 s  p99 s  of limit  livez s  again  cpu s    MB"
        )
        for workers in given.workers:
            with served(workers, given.tiny) as pid:
                alone = 0.0
                for clients in given.clients:
                    rate = show(workers, clients, given.requests, body, pid, alone)
                    alone = alone or rate


@contextmanager
def served(workers: int, tiny: bool, queue: int = 128) -> Iterator[int]:
    """Serve, and give the number of the server's process."""
    with tempfile.TemporaryDirectory() as folder:
        words = ["serve", "--port", str(PORT), "--state", f"{folder}/state"]
        words += ["--workers", str(workers), "--queue", str(queue)]
        words += ["--model", tiny_network(folder)] if tiny else []
        server = subprocess.Popen(  # noqa: S603 - Ours.
            [sys.executable, "-m", "marey", *words], stderr=subprocess.DEVNULL
        )
        try:
            while not answers():
                assert server.poll() is None, "the server ended"
                time.sleep(0.2)
            yield server.pid
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(90)
    assert server.returncode == 0, server.returncode


def tiny_network(folder: str) -> str:
    """Write a small network and return its file."""
    from marey.models import off_efficientnet_lite0, save_checkpoint

    network = off_efficientnet_lite0(num_classes=3)
    network.preprocessing = replace(network.preprocessing, size=64, short_side=73, pace=8)
    path = Path(folder, "tiny.safetensors")
    save_checkpoint(network.eval(), path, classes=["a", "b", "c"])
    return str(path)


def answers() -> bool:
    """Return whether the server is ready."""
    try:
        return ask("GET", "/readyz", b"")[0] == 200
    except OSError:
        return False


def ask(method: str, path: str, body: bytes) -> tuple[int, bytes]:
    """Return the status and the body of an answer; one that says 503 says when to ask again."""
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=120)
    try:
        connection.request(method, path, body)
        answer = connection.getresponse()
        assert answer.status != 503 or path == "/readyz" or answer.headers["Retry-After"]
        return answer.status, answer.read()
    finally:
        connection.close()


def predict(body: bytes) -> tuple[int, bytes]:
    """Return the status and the body of the answer to a video."""
    return ask("POST", "/v1/predict?name=clip", body)


def show(workers: int, clients: int, requests: int, body: bytes, pid: int, alone: float) -> float:
    """Let clients ask, print what came of it, and return the answers a second."""
    expected = predict(body)
    assert expected[0] == 200, expected
    single = percentile([timed(body, expected)[0] for _ in range(4 * workers)], 0.5)
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
        got = list(pool.map(lambda _: timed(body, expected), range(requests)))
    seconds = time.perf_counter() - begun
    after, held = usage(pid)
    done.set()
    checking.join()
    times = [time for time, answered in got if answered]
    rate = len(times) / seconds
    limit = 3 * clients * single / workers
    p99 = percentile(times, 0.99)
    print(
        f"{workers:7} {clients:7} {rate:9.2f} {rate / (alone or rate):6.2f} "
        f"{percentile(times, 0.5):6.2f} {p99:6.2f} {p99 / limit:9.2f} "
        f"{percentile(alive, 0.99):8.3f} {len(got) - len(times):6} "
        f"{(after - busy) / len(times):6.2f} {held / MEGABYTE:5.0f}",
        flush=True,
    )
    return rate


def timed(body: bytes, expected: tuple[int, bytes]) -> tuple[float, bool]:
    """Return how long an answer took, and whether it was one; it must be the one expected."""
    begun = time.perf_counter()
    got = predict(body)
    assert got == expected or got[0] in (429, 503), got
    return time.perf_counter() - begun, got == expected


def turn_away(body: bytes, pid: int) -> None:
    """Fill the queue, and print how long it takes to be turned away and what memory it costs."""
    stop = threading.Event()

    def fill() -> None:
        while not stop.is_set():
            predict(body)

    with ThreadPoolExecutor(4) as pool:
        filling = [pool.submit(fill) for _ in range(4)]
        try:
            times, before = [], 0.0
            while len(times) < 500:
                begun = time.perf_counter()
                if predict(body)[0] == 503:
                    times.append(time.perf_counter() - begun)
                if len(times) == 100:
                    before = before or resident(pid)
        finally:
            stop.set()
        for one in filling:
            one.result()
    print(
        f"turned away {len(times)} times: p50 {1000 * percentile(times, 0.5):.1f} ms, "
        f"p99 {1000 * percentile(times, 0.99):.1f} ms; the server grew by "
        f"{(resident(pid) - before) / 1e3:.0f} kB after the first hundred"
    )


def soak(body: bytes, pid: int, workers: int, seconds: float, load: float) -> None:
    """Ask at a steady rate, and print what each minute took and how the last compare."""
    expected = predict(body)
    with ThreadPoolExecutor(64) as pool:
        begun = time.perf_counter()
        count = len(list(pool.map(lambda _: timed(body, expected), range(24 * workers))))
        gap = (time.perf_counter() - begun) / count / load
        print(f"a request each {gap:.3f} s, {load:.0%} of what it bears")
        print("minute answers  again  p50 s  p99 s    MB", flush=True)
        rows: list[tuple[list[float], float]] = []
        begun = time.perf_counter()
        number = 0
        pending: list[Future[tuple[float, bool]]] = []
        while time.perf_counter() - begun < seconds:
            while time.perf_counter() - begun < min(60 * (len(rows) + 1), seconds):
                number += 1
                time.sleep(max(begun + number * gap - time.perf_counter(), 0))
                pending.append(pool.submit(timed, body, expected))
            over = {one for one in pending if one.done()}
            got = [one.result() for one in over]
            pending = [one for one in pending if one not in over]
            times = [took for took, answered in got if answered]
            rows.append((times, usage(pid)[1]))
            print(
                f"{len(rows):6} {len(times):7} {len(got) - len(times):6} "
                f"{percentile(times, 0.5):6.2f} {percentile(times, 0.99):6.2f} "
                f"{rows[-1][1] / MEGABYTE:5.0f}",
                flush=True,
            )
    part = max(len(rows) // 6, 1)
    first = percentile([took for times, _ in rows[:part] for took in times], 0.99)
    last = percentile([took for times, _ in rows[-part:] for took in times], 0.99)
    early = rows[min(part, len(rows) - 1)][1]
    print(f"p99 at the end is {last / first:.2f} of that at the beginning ({part} minutes each)")
    print(f"memory grew by {100 * (rows[-1][1] / early - 1):.1f} % after the beginning")


def percentile(values: list[float], share: float) -> float:
    """Return the value that a share of them does not exceed; 0 where there are none."""
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else 0.0


def usage(pid: int) -> tuple[float, float]:
    """Return the processor seconds and the resident bytes of a process and its children."""
    seconds = pages = 0.0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rsplit(")", 1)[1].split()
            if pid in (int(fields[1]), int(folder.name)):
                seconds += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
                pages += int((folder / "statm").read_text().split()[1])
        except OSError:
            continue
    return seconds, pages * os.sysconf("SC_PAGE_SIZE")


def resident(pid: int) -> float:
    """Return the resident bytes of a process alone."""
    pages = int(Path("/proc", str(pid), "statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    main()
