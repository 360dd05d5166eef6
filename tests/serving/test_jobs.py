import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from marey.errors import UsageError
from marey.serving._jobs import UPLOAD, Job, Jobs

# Accepts jobs, telling each, and does them, until it is killed.
_SERVER = """
import sys, uuid
from pathlib import Path
from marey.serving._jobs import UPLOAD, Jobs
jobs = Jobs(Path(sys.argv[1]), keep=1.0)
print("open", flush=True)
while True:
    for _ in range(2):
        name = uuid.uuid4().hex
        jobs.folder(name).mkdir(parents=True)
        (jobs.folder(name) / UPLOAD).write_bytes(b"film")
        jobs.add(name, "film.mp4", annotate=False, maps=False)
        print("accepted", name, flush=True)
    job = jobs.begin()
    if job is not None and jobs.finish(job.id, {}):
        print("finished", job.id, flush=True)
"""


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[Jobs]:
    jobs = Jobs(tmp_path / "state", keep=1.0)
    yield jobs
    jobs.close()


def add(jobs: Jobs, job_id: str) -> Job:
    jobs.folder(job_id).mkdir(parents=True)
    (jobs.folder(job_id) / UPLOAD).write_bytes(b"film")
    return jobs.add(job_id, f"{job_id}.mp4", annotate=True, maps=False)


def test_jobs_are_done_in_their_order_and_once(jobs: Jobs) -> None:
    first, second = add(jobs, "a"), add(jobs, "b")
    assert (jobs.position(first), jobs.position(second)) == (0, 1)
    begun = jobs.begin()
    assert begun is not None
    assert (begun.id, begun.status, begun.name, begun.annotate) == ("a", "running", "a.mp4", True)
    assert jobs.finish("a", {"x": 1})
    assert not jobs.finish("a", {"x": 2})
    done = jobs.get("a")
    assert done is not None
    assert (done.status, done.result) == ("done", {"x": 1})
    assert jobs.position(second) == 0


def test_what_was_running_is_queued_again_when_the_server_died(tmp_path: Path) -> None:
    before = Jobs(tmp_path, keep=1.0)
    add(before, "a")
    before.begin()
    before.close()
    after = Jobs(tmp_path, keep=1.0)
    job = after.get("a")
    assert job is not None
    assert job.status == "queued"
    after.close()


def test_a_job_outlives_any_number_of_servers(tmp_path: Path) -> None:
    for _ in range(10):
        jobs = Jobs(tmp_path, keep=1.0)
        if jobs.get("a") is None:
            add(jobs, "a")
        assert jobs.begin() is not None
        jobs.close()


def test_a_job_whose_process_is_killed_again_and_again_is_given_up(jobs: Jobs) -> None:
    add(jobs, "a")
    for _ in range(3):
        assert jobs.begin() is not None
        jobs.requeue("a")
    assert jobs.begin() is None
    job = jobs.get("a")
    assert job is not None
    assert (job.status, job.code) == ("failed", "crashed")


def test_a_cancelled_job_is_not_finished_and_its_files_are_gone(jobs: Jobs) -> None:
    add(jobs, "a")
    jobs.begin()
    assert jobs.cancel("a")
    assert not jobs.finish("a", {})
    assert not jobs.folder("a").exists()
    assert not jobs.cancel("a")
    assert jobs.erase("a")
    assert jobs.get("a") is None


def test_a_running_job_is_not_erased(jobs: Jobs) -> None:
    add(jobs, "a")
    jobs.begin()
    assert not jobs.erase("a")


def test_jobs_are_erased_when_their_time_is_up(tmp_path: Path) -> None:
    jobs = Jobs(tmp_path, keep=1e-9)
    add(jobs, "a")
    add(jobs, "b")
    jobs.begin()
    jobs.finish("a", {})
    time.sleep(0.01)
    assert jobs.erase_expired() == 1
    assert jobs.get("a") is None
    assert not jobs.folder("a").exists()
    assert jobs.get("b") is not None
    jobs.close()


def test_uploads_that_never_became_jobs_are_deleted(tmp_path: Path) -> None:
    (tmp_path / "jobs" / "lost").mkdir(parents=True)
    Jobs(tmp_path, keep=1.0).close()
    assert not (tmp_path / "jobs" / "lost").exists()


def test_the_ledger_is_written_ahead_and_through_to_the_disk(jobs: Jobs) -> None:
    base = jobs._base
    assert base.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert base.execute("PRAGMA synchronous").fetchone() == (2,)


def test_two_servers_do_not_share_a_folder(jobs: Jobs, tmp_path: Path) -> None:
    # Locks are of a process, so the other server is one.
    code = (
        "import sys; from pathlib import Path; from marey.serving._jobs import Jobs; "
        "Jobs(Path(sys.argv[1]), keep=1.0)"
    )
    other = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "state")], capture_output=True, text=True
    )
    assert UsageError.__name__ in other.stderr
    assert "--state" in other.stderr


@pytest.mark.slow
def test_no_accepted_job_is_lost_or_finished_twice_however_the_server_is_killed(
    tmp_path: Path,
) -> None:
    accepted: list[str] = []
    finished: list[str] = []
    rng = random.Random(7)
    for _ in range(20):
        server = subprocess.Popen(
            [sys.executable, "-c", _SERVER, str(tmp_path)], stdout=subprocess.PIPE, text=True
        )
        assert server.stdout is not None
        assert server.stdout.readline() == "open\n"
        time.sleep(rng.uniform(0, 0.3))
        server.send_signal(signal.SIGKILL)
        for line in server.stdout:
            kind, _, name = line.strip().partition(" ")
            (accepted if kind == "accepted" else finished).append(name)
        server.wait()
        server.stdout.close()
    assert len(accepted) > 20
    assert len(finished) == len(set(finished))
    base = sqlite3.connect(tmp_path / "jobs.sqlite")
    rows = dict(base.execute("SELECT id, status FROM jobs").fetchall())
    base.close()
    assert set(accepted) <= set(rows)
    assert all(rows[name] == "done" for name in finished)
    jobs = Jobs(tmp_path, keep=1.0)
    while (job := jobs.begin()) is not None:
        assert job.id not in finished
        assert jobs.finish(job.id, {})
    assert jobs.counts() == {"done": len(rows)}
    jobs.close()
