"""Videos and services for the tests of serving."""

import time
from pathlib import Path
from typing import Any

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
    for _ in range(600):
        if client.get("/readyz").status_code == 200:
            return client
        time.sleep(0.1)
    raise AssertionError("the service never got ready")


def over(client: TestClient, job_id: str) -> dict[str, Any]:
    """Wait for the end of a job and return it."""
    for _ in range(600):
        job: dict[str, Any] = client.get(f"/v1/jobs/{job_id}").json()
        if job["status"] in ("done", "failed", "cancelled"):
            return job
        time.sleep(0.1)
    raise AssertionError("the job never ended")
