import ctypes
import os
import signal
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest

from marey.errors import MareyError
from marey.serving._worker import BadTaskError, StoppedError, Tell, TooLateError, Worker


def made() -> str:
    return "made"


def slowly_made() -> str:
    time.sleep(0.5)
    return "made"


def unmakeable() -> str:
    raise MareyError("there is no such network")


def join(what: str, tell: Tell, more: str) -> str:
    tell(0.5)
    return f"{what} {more}"


def refuse(what: str, tell: Tell) -> None:
    raise MareyError("no video")


def fall(what: str, tell: Tell) -> None:
    ctypes.string_at(0)


def loop(what: str, tell: Tell) -> None:
    while True:
        pass


def gorge(what: str, tell: Tell) -> None:
    kept = []
    while True:
        kept.append(np.zeros(1 << 28, np.uint8))


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker[str]]:
    worker = Worker(made)
    yield worker
    worker.close()


def test_a_task_has_what_was_made_and_tells_how_far_it_is(worker: Worker[str]) -> None:
    shares: list[float] = []
    assert worker.call(join, "it", seconds=60.0, tell=shares.append) == "made it"
    assert shares == [0.5]


def test_the_process_stays_for_the_next_task(worker: Worker[str]) -> None:
    worker.start()
    before = worker.pid
    with pytest.raises(BadTaskError, match="no video"):
        worker.call(refuse, seconds=60.0)
    worker.call(join, "it", seconds=60.0)
    assert worker.pid == before


def test_a_task_that_crashes_is_a_bad_one_and_the_next_is_done(worker: Worker[str]) -> None:
    with pytest.raises(BadTaskError, match="crashed"):
        worker.call(fall, seconds=60.0)
    assert worker.call(join, "it", seconds=60.0) == "made it"


def test_a_task_that_takes_too_long_is_killed(worker: Worker[str]) -> None:
    worker.start()
    process = worker.pid
    assert process is not None
    with pytest.raises(TooLateError):
        worker.call(loop, seconds=0.2)
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


def test_a_task_that_eats_memory_is_a_bad_one(worker: Worker[str]) -> None:
    with pytest.raises(BadTaskError, match="memory"):
        worker.call(gorge, seconds=60.0)


def test_a_kill_from_outside_is_not_the_fault_of_the_task(worker: Worker[str]) -> None:
    worker.start()
    process = worker.pid
    assert process is not None
    threading.Timer(0.2, os.kill, (process, signal.SIGKILL)).start()
    with pytest.raises(StoppedError):
        worker.call(loop, seconds=60.0)
    begun = time.monotonic()
    assert worker.call(join, "it", seconds=60.0) == "made it"
    assert time.monotonic() - begun < 30


def test_a_task_that_comes_while_the_process_starts_waits_for_it() -> None:
    worker = Worker(slowly_made)
    starting = threading.Thread(target=worker.start)
    starting.start()
    while not worker.alive:
        time.sleep(0.01)
    assert worker.call(join, "it", seconds=60.0) == "made it"
    starting.join()
    worker.close()


def test_a_worker_that_is_closed_while_it_starts_leaves_no_process() -> None:
    worker = Worker(slowly_made)
    stopped = []

    def start() -> None:
        with pytest.raises(StoppedError) as caught:
            worker.start()
        stopped.append(caught.value)

    starting = threading.Thread(target=start)
    starting.start()
    worker.close()
    starting.join(30)
    assert stopped
    assert not worker.alive


def test_what_keeps_it_from_starting_is_said() -> None:
    with pytest.raises(MareyError, match="no such network"):
        Worker(unmakeable).start()


def test_a_closed_worker_starts_no_process() -> None:
    worker = Worker(made)
    worker.close()
    with pytest.raises(StoppedError):
        worker.start()
