"""Training whose decoding processes die says why and goes on when it is started again."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from broken_runs import Server, Tree, tree
from small_data import Data


def with_a_worker(data: Data) -> list[str | Path]:
    """Return the words of training in which another process decodes."""
    return ["--workers=1" if word == "--workers=0" else word for word in data.words("train")]


def children(pid: int) -> list[int]:
    """Return the processes that a process has started and that are still there."""
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(word) for word in text.split()]


def assert_told_and_gone_on(
    marey: Server, data: Data, folder: Path, said: str, expected: Tree
) -> None:
    assert "decode" in said
    assert "--workers 0" in said
    ended = marey.run(*data.words("train"), at=folder)
    assert ended.code == 0, ended.said
    settings = "out/settings.json"  # In which the number of workers is another.
    assert tree(folder) | {settings: ""} == expected | {settings: ""}


def test_a_killed_worker_ends_the_run_with_a_word(
    marey: Server, data: Data, whole: Callable[[str], Tree], tmp_path: Path
) -> None:
    for _ in range(20):  # Until one is caught at work.
        started = marey.start(*with_a_worker(data), at=tmp_path)
        while started.runs() and not (found := children(started.pid)):
            time.sleep(0.001)
        if started.runs():
            os.kill(found[0], signal.SIGKILL)
        ended = started.ended(30.0)
        if ended.code:
            break
        for path in sorted(tmp_path.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
    assert ended.code == 1, ended.said
    assert "a process that decodes videos died" in ended.said
    assert_told_and_gone_on(marey, data, tmp_path, ended.said, whole("train"))


@pytest.mark.parametrize("pages", [1, 10], ids=["for the start", "for the frames"])
def test_too_little_shared_memory_ends_the_run_with_a_word(
    marey: Server, data: Data, whole: Callable[[str], Tree], tmp_path: Path, pages: int
) -> None:
    started = marey.start(*with_a_worker(data), at=tmp_path, shared_memory=4096 * pages)
    ended = started.ended(30.0)
    if ended.code == 77:
        pytest.skip("only root may mount")
    assert ended.code == 1, ended.said
    assert_told_and_gone_on(marey, data, tmp_path, ended.said, whole("train"))
