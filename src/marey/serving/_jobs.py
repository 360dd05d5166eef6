"""Jobs and what came of them, in a database that survives the server."""

import fcntl
import json
import shutil
import sqlite3
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from marey.durable import sync
from marey.errors import UsageError

Status = Literal["queued", "running", "done", "failed", "cancelled"]

UPLOAD = "upload"
"""Name of a job's video in its folder."""

_TABLE = """
CREATE TABLE IF NOT EXISTS jobs (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    annotate INTEGER NOT NULL,
    maps INTEGER NOT NULL,
    status TEXT NOT NULL,
    created REAL NOT NULL,
    expires REAL NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    result TEXT,
    code TEXT,
    message TEXT
)
"""
_COLUMNS = (
    "number, id, name, annotate, maps, status, created, expires, attempts, result, code, message"
)
_MOST_ATTEMPTS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job as the database has it; times are seconds since 1970."""

    number: int
    id: str
    name: str
    annotate: bool
    maps: bool
    status: Status
    created: float
    expires: float
    attempts: int
    result: dict[str, Any] | None
    code: str | None
    message: str | None

    @property
    def over(self) -> bool:
        """Whether nothing will change any more."""
        return self.status in ("done", "failed", "cancelled")


class Jobs:
    """The jobs of one folder, which belongs to one server at a time.

    What a method changed is on the disk when it returns. Every job that was running when the
    server before this one died is queued again, and folders of uploads that never became jobs
    are deleted.

    Args:
        folder: Made if missing.
        keep: Hours after which a job is to be erased.

    Raises:
        UsageError: Another server has the folder.
    """

    def __init__(self, folder: Path, *, keep: float) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._folder = folder
        self._keep = keep * 3600
        self._lock = threading.Lock()
        self._held = (folder / "lock").open("a")
        try:
            fcntl.lockf(self._held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._held.close()
            raise UsageError(
                f"another server keeps its jobs in {folder}; give this one its own --state"
            ) from None
        self._base = sqlite3.connect(
            folder / "jobs.sqlite", check_same_thread=False, isolation_level=None
        )
        self._base.execute("PRAGMA journal_mode=WAL")
        self._base.execute("PRAGMA synchronous=FULL")
        self._base.execute(_TABLE)
        self._base.execute("UPDATE jobs SET status='queued' WHERE status='running'")
        self._sweep()

    def folder(self, job_id: str) -> Path:
        """Return where the files of a job are."""
        return self._folder / "jobs" / job_id

    def add(self, job_id: str, name: str, *, annotate: bool, maps: bool) -> Job:
        """Accept a job, whose upload is in its folder."""
        for path in (self.folder(job_id) / UPLOAD, self.folder(job_id), self._folder / "jobs"):
            sync(path)
        now = time.time()
        with self._lock:
            self._base.execute(
                "INSERT INTO jobs (id, name, annotate, maps, status, created, expires) "
                "VALUES (?, ?, ?, ?, 'queued', ?, ?)",
                (job_id, name, annotate, maps, now, now + self._keep),
            )
        job = self.get(job_id)
        assert job is not None
        return job

    def get(self, job_id: str) -> Job | None:
        """Return a job, unless there is none or it has been erased."""
        return self._one("WHERE id = ?", job_id)

    def position(self, job: Job) -> int:
        """Return how many jobs come before one that is queued."""
        return self._count("status IN ('queued', 'running') AND number < ?", job.number)

    def unfinished(self) -> int:
        """Return how many jobs are queued or running."""
        return self._count("status IN ('queued', 'running')")

    def counts(self) -> dict[str, int]:
        """Return how many jobs there are of each status."""
        with self._lock:
            rows = self._base.execute("SELECT status, COUNT(*) FROM jobs GROUP BY status")
            return dict(rows.fetchall())

    def begin(self) -> Job | None:
        """Return the job that waits longest, as running from now on, if one waits."""
        job = self._one("WHERE status = 'queued' ORDER BY number LIMIT 1")
        if job is None:
            return None
        changed = self._change("status='running'", "id=? AND status='queued'", (job.id,))
        return self.get(job.id) if changed else self.begin()

    def finish(self, job_id: str, result: dict[str, Any]) -> bool:
        """Keep what came of a job, and return whether it was still wanted."""
        return self._change(
            "status='done', result=?", "id=? AND status='running'", (json.dumps(result), job_id)
        )

    def fail(self, job_id: str, code: str, message: str) -> bool:
        """Keep why nothing came of a job, and return whether it was still wanted."""
        return self._change(
            "status='failed', code=?, message=?",
            "id=? AND status IN ('queued', 'running')",
            (code, message, job_id),
        )

    def requeue(self, job_id: str) -> bool:
        """Let a running job whose process was killed be done again, though not for ever."""
        job = self.get(job_id)
        if job is not None and job.attempts + 1 >= _MOST_ATTEMPTS:
            killed = f"the process that looked at the video was killed {_MOST_ATTEMPTS} times"
            return self.fail(job_id, "crashed", killed)
        return self._change(
            "status='queued', attempts=attempts+1", "id=? AND status='running'", (job_id,)
        )

    def cancel(self, job_id: str) -> bool:
        """Cancel a job that is not over, and return whether there was one; its files go."""
        changed = self._change(
            "status='cancelled', code='cancelled', message='the job was cancelled'",
            "id=? AND status IN ('queued', 'running')",
            (job_id,),
        )
        if changed:
            shutil.rmtree(self.folder(job_id), ignore_errors=True)
        return changed

    def erase(self, job_id: str) -> bool:
        """Erase a job that is over and its files, and return whether there was one."""
        with self._lock:
            gone = self._base.execute(
                "DELETE FROM jobs WHERE id=? AND status IN ('done', 'failed', 'cancelled')",
                (job_id,),
            ).rowcount
        if gone:
            shutil.rmtree(self.folder(job_id), ignore_errors=True)
        return gone > 0

    def erase_expired(self) -> int:
        """Erase the jobs that are over and whose time is up, and return how many."""
        with self._lock:
            rows = self._base.execute(
                "SELECT id FROM jobs WHERE expires < ?", (time.time(),)
            ).fetchall()
        return sum(self.erase(job_id) for (job_id,) in rows)

    def close(self) -> None:
        """Let go of the folder."""
        with self._lock:
            self._base.close()
        self._held.close()

    def _sweep(self) -> None:
        """Delete what belongs to no job."""
        folder = self._folder / "jobs"
        folder.mkdir(exist_ok=True)
        known = {row[0] for row in self._base.execute("SELECT id FROM jobs")}
        for path in folder.iterdir():
            if path.name not in known:
                shutil.rmtree(path, ignore_errors=True)

    def _change(self, what: str, where: str, values: tuple[Any, ...]) -> bool:
        with self._lock:
            # The words are ours; what comes from outside is in the values.
            query = f"UPDATE jobs SET {what} WHERE {where}"  # noqa: S608
            return self._base.execute(query, values).rowcount > 0

    def _count(self, where: str, *values: Any) -> int:
        with self._lock:
            query = f"SELECT COUNT(*) FROM jobs WHERE {where}"  # noqa: S608
            (count,) = self._base.execute(query, values).fetchone()
            return int(count)

    def _one(self, rest: str, *values: Any) -> Job | None:
        with self._lock:
            query = f"SELECT {_COLUMNS} FROM jobs {rest}"  # noqa: S608
            row = self._base.execute(query, values).fetchone()
        if row is None:
            return None
        (number, job_id, name, annotate, maps, status, created, expires, attempts, *end) = row
        result, code, message = end
        return Job(
            number=number,
            id=job_id,
            name=name,
            annotate=bool(annotate),
            maps=bool(maps),
            status=status,
            created=created,
            expires=expires,
            attempts=attempts,
            result=None if result is None else json.loads(result),
            code=code,
            message=message,
        )
