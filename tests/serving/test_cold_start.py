"""A service that is asked as soon as it answers, when its workers are far from ready."""

from pathlib import Path

import pytest
from services import client_of, over, service_of


@pytest.mark.slow
def test_a_job_that_comes_while_the_workers_start_is_done(
    checkpoint: Path, clip: Path, tmp_path: Path
) -> None:
    with client_of(service_of(checkpoint, tmp_path / "state")) as asking:
        job_id = asking.post("/v1/jobs?name=early.mp4", content=clip.read_bytes()).json()["id"]
        job = over(asking, job_id)
        assert job["status"] == "done"
        assert job["result"]["video"] == "early.mp4"
