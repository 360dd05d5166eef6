"""Where videos are looked at: workers that answer, and one that does jobs."""

import asyncio
import shutil
import sys
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from marey.errors import MareyError
from marey.predictor import Predictor

from ._jobs import UPLOAD, Job, Jobs
from ._limits import Limits
from ._refusal import Refusal, busy
from ._sights import answer, find, ready_predictor, ready_segmenter
from ._worker import BadTaskError, StoppedError, TooLateError, Worker

_SWEEP_SECONDS = 60.0


class Office:
    """Takes videos and looks at them, so many at a time, within limits.

    Attributes:
        draining: Nothing new is taken.
        ready: All workers are warm.
        progress: Share done of the job that is running.
        changed: Replaced and set whenever a job changes.
    """

    def __init__(
        self, model: str, *, state: Path, limits: Limits, workers: int, threads: int
    ) -> None:
        self.limits = limits
        self.jobs = Jobs(state, keep=limits.keep)
        self.draining = False
        self.ready = False
        self.trouble: str | None = None
        self.progress = 0.0
        self.changed = asyncio.Event()
        self.busy = 0
        self._temporary = state / "uploads"
        shutil.rmtree(self._temporary, ignore_errors=True)
        self._temporary.mkdir(mode=0o700)
        self._answerers: list[Worker[Predictor]] = [
            Worker(partial(ready_predictor, model, threads)) for _ in range(workers)
        ]
        self._finder = Worker(partial(ready_segmenter, model, threads))
        self._idle: asyncio.Queue[Worker[Predictor]] = asyncio.Queue()
        self._threads = ThreadPoolExecutor(workers + 2)
        self._uploading = 0
        self._running: str | None = None
        self._work = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._reviving: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Begin to warm up, and then to do the jobs that wait."""
        self._tasks = [
            asyncio.create_task(self._warm()),
            asyncio.create_task(self._sweep()),
        ]

    async def close(self) -> None:
        """End all work; a job that is running begins again with the next server."""
        self.draining = True
        self._finder.close()
        for worker in self._answerers:
            worker.close()
        for task in (*self._tasks, *self._reviving):
            task.cancel()
        await asyncio.gather(*self._tasks, *self._reviving, return_exceptions=True)
        await asyncio.to_thread(self._threads.shutdown)
        self.jobs.close()
        shutil.rmtree(self._temporary, ignore_errors=True)

    def drain(self) -> None:
        """Take nothing new, and let those who follow a job go."""
        self.draining = True
        self._stir()

    def pids(self) -> list[int]:
        """Return the processes of the workers that answer."""
        return [pid for worker in self._answerers if (pid := worker.pid) is not None]

    async def predict(self, upload: Callable[[Path], Any]) -> dict[str, Any]:
        """Return the answer for the video that `upload` writes to a file.

        Raises:
            Refusal: There are too many, the time is up, or the video cannot be used.
        """
        self._require_room(self.busy)
        file = self._temporary / uuid.uuid4().hex
        self.busy += 1
        try:
            name = await upload(file)
            return await self._answered(file, name)
        finally:
            self.busy -= 1
            file.unlink(missing_ok=True)

    async def accept(self, upload: Callable[[Path], Any], *, annotate: bool, maps: bool) -> Job:
        """Return the job of looking at the video that `upload` writes; it is safe then.

        Raises:
            Refusal: There are too many, or there is no video.
        """
        self._require_room(self.jobs.unfinished() + self._uploading)
        job_id = uuid.uuid4().hex
        folder = self.jobs.folder(job_id)
        self._uploading += 1
        try:
            folder.mkdir(parents=True)
            name = await upload(folder / UPLOAD)
            add = partial(self.jobs.add, job_id, name, annotate=annotate, maps=maps)
            job = await asyncio.shield(asyncio.to_thread(add))
        except BaseException:
            if self.jobs.get(job_id) is None:
                shutil.rmtree(folder, ignore_errors=True)
            raise
        finally:
            self._uploading -= 1
        self._work.set()
        return job

    def drop(self, job_id: str) -> bool:
        """Cancel a job, or erase one that is over, and return whether there is one."""
        running = self._running == job_id
        if not self.jobs.cancel(job_id):
            return self.jobs.erase(job_id)
        if running:
            self._finder.interrupt()
        self._stir()
        return True

    def _require_room(self, taken: int) -> None:
        if self.draining:
            raise busy("the server is about to stop; ask again soon")
        if taken >= self.limits.queue:
            raise busy(f"{taken} videos wait already; ask again soon")

    async def _answered(self, file: Path, name: str) -> dict[str, Any]:
        late = Refusal(504, "late", f"no answer within {self.limits.deadline:g} seconds")
        end = asyncio.get_running_loop().time() + self.limits.deadline
        try:
            async with asyncio.timeout_at(end):
                worker = await self._idle.get()
        except TimeoutError:
            raise late from None
        left = end - asyncio.get_running_loop().time()
        call = partial(worker.call, answer, str(file), name, self.limits, seconds=left)
        pending = asyncio.get_running_loop().run_in_executor(self._threads, call)
        try:
            said: dict[str, Any] = await asyncio.shield(pending)
            return said
        except TooLateError:
            raise late from None
        except BadTaskError as error:
            raise Refusal(422, "video", str(error)) from None
        except (StoppedError, MareyError):
            raise busy("the work was interrupted; ask again") from None
        except asyncio.CancelledError:
            worker.interrupt()
            raise
        finally:
            revive = asyncio.create_task(self._revive(worker, pending))
            self._reviving.add(revive)
            revive.add_done_callback(self._reviving.discard)

    async def _revive(self, worker: Worker[Predictor], before: "asyncio.Future[Any]") -> None:
        """Let a worker have the next video as soon as its process is up."""
        await asyncio.wait([before])
        before.exception()
        with suppress(MareyError, StoppedError, TooLateError, BadTaskError):
            await asyncio.get_running_loop().run_in_executor(self._threads, worker.start)
        self._idle.put_nowait(worker)

    async def _warm(self) -> None:
        try:
            while not await self._started():
                self.trouble = "the workers did not start; they are started again"
                await asyncio.sleep(1)
        except MareyError as error:
            self.trouble = str(error)
            print(f"marey: {error}", file=sys.stderr)  # noqa: T201
            return
        for worker in self._answerers:
            self._idle.put_nowait(worker)
        self.ready = True
        self._tasks.append(asyncio.create_task(self._watch_over()))
        self._tasks.append(asyncio.create_task(self._do_jobs()))

    async def _started(self) -> bool:
        """Start all workers, and return whether they are warm.

        Raises:
            MareyError: They never will be.
        """
        loop = asyncio.get_running_loop()
        workers: list[Worker[Any]] = [*self._answerers, self._finder]
        try:
            await asyncio.gather(
                *(loop.run_in_executor(self._threads, worker.start) for worker in workers)
            )
        except (StoppedError, TooLateError, BadTaskError):
            return False
        return True

    async def _watch_over(self) -> None:
        """Start workers anew that died while they had nothing to do."""
        while True:
            await asyncio.sleep(0.5)
            for _ in range(self._idle.qsize()):
                worker = self._idle.get_nowait()
                if worker.alive:
                    self._idle.put_nowait(worker)
                    continue
                done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                done.set_result(None)
                await self._revive(worker, done)

    async def _do_jobs(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self._work.clear()
            job = None if self.draining else await asyncio.to_thread(self.jobs.begin)
            if job is None:
                self._stir()
                await self._work.wait()
                continue
            self.progress, self._running = 0.0, job.id
            self._stir()
            await self._do(job, loop)
            self._running = None
            self._stir()

    async def _do(self, job: Job, loop: asyncio.AbstractEventLoop) -> None:
        def tell(share: float) -> None:
            loop.call_soon_threadsafe(self._told, share)

        file = str(self.jobs.folder(job.id) / UPLOAD)
        call = partial(
            self._finder.call,
            find,
            file,
            job.name,
            self.limits,
            job.annotate,
            job.maps,
            seconds=self.limits.job_seconds,
            tell=tell,
        )
        try:
            result = await loop.run_in_executor(self._threads, call)
            await asyncio.to_thread(self.jobs.finish, job.id, result)
        except TooLateError:
            self.jobs.fail(job.id, "late", f"it took over {self.limits.job_seconds:g} seconds")
        except BadTaskError as error:
            self.jobs.fail(job.id, "video", str(error))
        except (StoppedError, MareyError):
            if not self.draining:
                self.jobs.requeue(job.id)

    async def _sweep(self) -> None:
        while True:
            await asyncio.to_thread(self.jobs.erase_expired)
            await asyncio.sleep(_SWEEP_SECONDS)

    def progress_of(self, job_id: str) -> float:
        """Return the share done of a job that is running.

        It is 0 between its beginning, which a thread writes down, and our hearing of it, when
        `progress` is still that of the job before.
        """
        return self.progress if self._running == job_id else 0.0

    def _told(self, share: float) -> None:
        if share - self.progress >= 0.005 or share >= 1:
            self.progress = share
            self._stir()

    def _stir(self) -> None:
        """Wake all who follow a job."""
        self.changed.set()
        self.changed = asyncio.Event()
