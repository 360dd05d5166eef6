import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from marey.isolation import CrashError, Isolated, IsolatedPool


def test_calls_are_made_in_one_other_process() -> None:
    other = Isolated()
    pid = other.call(os.getpid, 30.0)
    assert pid != os.getpid()
    assert other.call(os.getpid, 30.0) == pid
    other.close()


def test_what_a_function_raises_is_raised_here() -> None:
    other = Isolated()
    with pytest.raises(ZeroDivisionError):
        other.call(divmod, 30.0, 1, 0)
    other.close()


def test_a_process_that_dies_or_hangs_is_replaced() -> None:
    other = Isolated()
    with pytest.raises(CrashError, match="crashed"):
        other.call(os._exit, 30.0, 1)
    with pytest.raises(CrashError, match="did not end within 1 seconds"):
        other.call(time.sleep, 1.0, 600)
    assert other.call(abs, 30.0, -1) == 1
    other.close()


def test_closing_ends_a_call_that_is_under_way() -> None:
    other = Isolated()
    other.start()
    timer = threading.Timer(0.3, other.close)
    timer.start()
    start = time.perf_counter()
    with pytest.raises(CrashError):
        other.call(time.sleep, 600.0, 600)
    assert time.perf_counter() - start < 30
    timer.join()


def test_the_other_process_ends_when_this_one_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent("""
            import os, time
            from marey.isolation import Isolated

            if __name__ == "__main__":
                other = Isolated()
                print(other.call(os.getpid, 60.0), flush=True)
                other.call(time.sleep, 600.0, 600)
        """)
    )
    ours = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
    assert ours.stdout is not None
    pid = int(ours.stdout.readline())
    ours.send_signal(signal.SIGKILL)
    ours.communicate()
    deadline = time.monotonic() + 30
    while _runs(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _runs(pid)


def _runs(pid: int) -> bool:
    """Say whether the process exists and is more than an entry that nobody has collected."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state not in "ZX"


def test_a_pool_does_more_work_than_it_has_processes_and_ends_with_its_block() -> None:
    with IsolatedPool(2) as pool:
        futures = [pool.submit(lambda process: process.call(os.getpid, 30.0)) for _ in range(5)]
        pids = {future.result() for future in futures}
    assert len(pids) <= 2
    assert os.getpid() not in pids
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_leaving_a_pool_early_ends_what_is_under_way_and_drops_the_rest() -> None:
    start = time.perf_counter()
    with IsolatedPool(1) as pool:
        under_way = pool.submit(lambda process: process.call(time.sleep, 600.0, 600))
        waiting = pool.submit(lambda process: process.call(time.sleep, 600.0, 600))
        while not under_way.running():
            time.sleep(0.01)
    assert time.perf_counter() - start < 30
    assert isinstance(under_way.exception(), CrashError)
    assert waiting.cancelled()
