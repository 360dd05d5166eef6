"""Videos and services for the tests of serving."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
import httpx2
import numpy as np
from starlette.testclient import TestClient

from marey.serving import Limits, Service
from marey.video import write_video

ADDRESS = "http://localhost:8000"


def film(path: Path, *, frames: int = 12, height: int = 48, width: int = 64) -> Path:
    """Write a film of a drifting pattern."""
    rng = np.random.default_rng(frames)
    still = rng.integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
    still = still.repeat(8, 0).repeat(8, 1)
    write_video(path, np.stack([np.roll(still, 2 * t, 1) for t in range(frames)]))
    return path


def with_sound(path: Path, codec: str) -> Path:
    """Write a film of ten frames with a second of silence."""
    with av.open(path, "w") as output:
        pictures, sound = output.add_stream("mpeg4", 10), output.add_stream(codec, 8000)
        pictures.width, pictures.height = 64, 48
        for number in range(10):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 20 * number, np.uint8))
            output.mux(pictures.encode(frame))
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.int16), layout="mono")
        silence.sample_rate = 8000
        output.mux([*pictures.encode(), *sound.encode(silence), *sound.encode()])
    return path


def service_of(
    checkpoint: Path, state: Path, *, limits: Limits | None = None, token: str | None = None
) -> Service:
    """Return a service with one worker."""
    return Service(
        str(checkpoint),
        name="small",
        classes=("a", "b", "c"),
        state=state,
        limits=limits or Limits(),
        workers=1,
        threads=1,
        token=token,
    )


def client_of(service: Service) -> TestClient:
    """Return a client that asks as a browser on this computer would."""
    return TestClient(service.app, base_url=ADDRESS)


def ready(client: TestClient) -> TestClient:
    """Wait until the workers are warm."""
    for _ in range(3000):
        if client.get("/readyz").status_code == 200:
            return client
        time.sleep(0.1)
    raise AssertionError("the service never got ready")


def over(client: TestClient, job_id: str) -> dict[str, Any]:
    """Wait for the end of a job and return it."""
    for _ in range(3000):
        job: dict[str, Any] = client.get(f"/v1/jobs/{job_id}").json()
        if job["status"] in ("done", "failed", "cancelled"):
            return job
        time.sleep(0.1)
    raise AssertionError("the job never ended")


class Served:
    """A server in a process of its own, with one worker, on a port of this computer.

    Attributes:
        log: The file of what it says.
        state: Its folder.
    """

    def __init__(self, checkpoint: Path, state: Path, *options: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.address = f"http://127.0.0.1:{self.port}"
        self.state, self.log = state, state.with_suffix(".log")
        self.words = [sys.executable, "-m", "marey", "serve", "--port", str(self.port)]
        self.words += ["--model", str(checkpoint), "--state", str(state), "--workers", "1"]
        self.words += options
        self.client = httpx2.Client(base_url=self.address, timeout=120)
        self.start()

    def start(self) -> None:
        """Start it and wait until it answers, though it may not be warm."""
        with self.log.open("ab") as log:
            # Threads that wait for one another leave the processor to whoever else has work.
            ours = {"MAREY_BACKEND": "torch", "OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "0"}
            self.process = subprocess.Popen(self.words, stderr=log, env=os.environ | ours)
        self._wait("/livez")

    def warm(self) -> "Served":
        """Wait until it is ready."""
        self._wait("/readyz")
        return self

    def end(self, number: int) -> int:
        """Send it a signal and return how it ended."""
        self.process.send_signal(number)
        return self.process.wait(90)

    def socket(self) -> socket.socket:
        """Return a connection to it."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=60)

    def held(self) -> tuple[int, int, list[str]]:
        """Return how many descriptors and threads it has, and the files in its folder."""
        process = Path("/proc", str(self.process.pid))
        count = len(list((process / "fd").iterdir())), len(list((process / "task").iterdir()))
        kept = [str(path.relative_to(self.state)) for path in self.state.rglob("*")]
        return (*count, sorted(name for name in kept if not name.startswith("jobs.sqlite")))

    def memory(self) -> int:
        """Return the bytes of memory that the process of the server itself has taken."""
        status = Path("/proc", str(self.process.pid), "status").read_text()
        return 1024 * int(status.split("VmRSS:")[1].split()[0])

    def _wait(self, path: str) -> None:
        for _ in range(6000):
            try:
                if self.client.get(path).status_code == 200:
                    return
            except httpx2.TransportError:
                pass
            if self.process.poll() is not None:
                raise AssertionError(f"the server ended: {self.log.read_text()}")
            time.sleep(0.1)
        raise AssertionError(f"{path} was never answered: {self.log.read_text()}")


@contextmanager
def served(checkpoint: Path, state: Path, *options: str) -> Iterator[Served]:
    """Serve until the block ends."""
    server = Served(checkpoint, state, *options)
    try:
        yield server
    finally:
        server.client.close()
        if server.process.poll() is None:
            server.end(signal.SIGKILL)
