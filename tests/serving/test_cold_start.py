"""A service that is asked as soon as it answers, when its workers are far from ready."""

import os
import signal
import time
from pathlib import Path

import pytest
from services import client_of, over, ready, service_of


@pytest.mark.slow
def test_a_job_that_comes_while_the_workers_start_is_done(
    checkpoint: Path, clip: Path, tmp_path: Path
) -> None:
    with client_of(service_of(checkpoint, tmp_path / "state")) as asking:
        job_id = asking.post("/v1/jobs?name=early.mp4", content=clip.read_bytes()).json()["id"]
        job = over(asking, job_id)
        assert job["status"] == "done"
        assert job["result"]["video"] == "early.mp4"


@pytest.mark.slow
def test_workers_that_are_killed_while_they_start_are_started_again(
    checkpoint: Path, tmp_path: Path
) -> None:
    service = service_of(checkpoint, tmp_path / "state")
    with client_of(service) as asking:
        while not (processes := service.office.pids()):
            time.sleep(0.01)
        os.kill(processes[0], signal.SIGKILL)
        ready(asking)
        assert service.office.pids() != processes
