"""Runs that are killed, interrupted, or two at once end as one that nothing happened to."""

import itertools
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from flow_films import DIS, Told, film, index_of, ledger, tree
from killable_flow import Here

from marey.extraction import extract
from marey.flow import flow_file, flow_folder, open_flow
from marey.index import Index, read_index, write_index

pytest.importorskip("cv2", reason="OpenCV is not installed")


Ask = Callable[..., int]


@pytest.fixture(scope="module")
def ask() -> Iterator[Ask]:
    """Extract flow in a process that kills itself at a point, and return its exit code."""
    command = [sys.executable, str(Path(__file__).parents[1] / "killable_flow.py")]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        text=True,
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        requests, answers = server.stdin, server.stdout

        def ask(index: Path, folder: Path, form: str, point: str | None = None) -> int:
            request = {"index": str(index), "folder": str(folder), "form": form, "point": point}
            requests.write(json.dumps(request) + "\n")
            requests.flush()
            return int(answers.readline())

        yield ask


def whole_flow(folder: Path) -> dict[Path, tuple[int, int]]:
    """Return flow that is complete, and what tells it from flow that is made again."""
    found = [*folder.rglob("*.mkv"), *(path.parent for path in folder.rglob("flow_x_00001.jpg"))]
    states = {path: path.stat() for path in found if path.name[0] != "."}
    return {path: (state.st_ino, state.st_mtime_ns) for path, state in states.items()}


def kill_at_each(call: str, form: str, ask: Ask, films: Path, tmp_path: Path) -> int:
    """Kill a run around each such call, let another go on, and return how many there were."""
    index = tmp_path / "index.csv"
    write_index(index_of(films, "a.avi", "walk/b.mp4"), index)
    unbroken = tmp_path / "unbroken"
    assert ask(index, unbroken, form) == 0
    for number, when in ((n, when) for n in itertools.count(1) for when in ("before", "after")):
        folder = tmp_path / f"{number} {when}"
        code = ask(index, folder, form, f"{call}:{number}:{when}")
        if code == 0:
            break
        assert code == -signal.SIGKILL
        there, written_down = whole_flow(folder), ledger(folder)
        assert ask(index, folder, form) == 0
        assert tree(folder) == tree(unbroken), (number, when)
        now = whole_flow(folder)
        anew = [path for path in there if now[path] != there[path]]
        # Images do not say of which video they are, so one that was not written down is redone.
        assert len(anew) <= (form == "tsn")
        assert len(there) - len(anew) >= len(written_down)
    return number - 1


@pytest.mark.parametrize(("call", "form", "count"), [("replace", "video", 4), ("rename", "tsn", 2)])
def test_a_run_killed_around_any_naming_goes_on_to_the_same_bytes(
    ask: Ask, films: Path, tmp_path: Path, call: str, form: str, count: int
) -> None:
    """Of the settings, two videos and the ledger; of two folders."""
    assert kill_at_each(call, form, ask, films, tmp_path) == count


@pytest.mark.slow
@pytest.mark.parametrize(("form", "count"), [("video", 10), ("tsn", 24)])
def test_a_run_killed_around_any_write_goes_on_to_the_same_bytes(
    ask: Ask, films: Path, tmp_path: Path, form: str, count: int
) -> None:
    assert kill_at_each("fsync", form, ask, films, tmp_path) == count


# From here on in other processes.


def test_videos_done_side_by_side_in_other_processes_have_the_same_bytes(
    three: Index, tmp_path: Path
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("marey.isolation.Isolated", Here)
        extract(three, DIS, tmp_path / "here", workers=1)
    told = Told()
    extract(three, DIS, tmp_path / "there", workers=2, each=told)
    assert sorted(told.made) == ["a.avi", "text.avi", "walk/b.mp4"]
    assert tree(tmp_path / "there") == tree(tmp_path / "here")
    with open_flow(tmp_path / "there", "a.avi") as flow:
        assert flow.frames_at([0]).shape == (1, 256, 340, 2)


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """An index of eight films, one of them unusable."""
    root = tmp_path / "films"
    root.mkdir()
    names = [f"{number}.avi" for number in range(8)]
    for number, name in enumerate(names):
        film(root / name, 20 + number, seed=number)
    (root / "3.avi").write_text("no video")
    write_index(index_of(root, *names), root / "index.csv")
    return root / "index.csv"


def start(index: Path, folder: Path, *words: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "marey", "flow", str(index), "--out", str(folder)]
    return subprocess.Popen(
        [*command, "--method", "dis", "--workers", "2", *words],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


@pytest.mark.slow
@pytest.mark.parametrize("form", ["video", "tsn"])
def test_a_run_killed_at_any_time_goes_on_to_the_same_bytes(
    many: Path, tmp_path: Path, form: str
) -> None:
    unbroken = tmp_path / "unbroken"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("marey.isolation.Isolated", Here)
        extract(read_index(many), replace(DIS, form=form), unbroken, workers=1)
    folder = tmp_path / "flow"
    chance = random.Random()
    written_down: dict[Path, tuple[int, int]] = {}
    for _ in range(12):
        lines = len(ledger(folder))
        with start(many, folder, "--format", form) as process:
            # Soon after something was done, and now and then while it starts.
            deadline = time.monotonic() + chance.choice([chance.uniform(0, 2), 60])
            while process.poll() is None and time.monotonic() < deadline:
                if len(ledger(folder)) > lines:
                    time.sleep(chance.uniform(0, 0.1))
                    break
                time.sleep(0.005)
            process.kill()
            process.communicate()
        there = whole_flow(folder)
        assert {path: there[path] for path in written_down} == written_down
        videos = [row["video"] for row in ledger(folder)]
        places = [place(folder, video) for video in videos for place in (flow_file, flow_folder)]
        written_down = {path: there[path] for path in places if path in there}
    with start(many, folder, "--format", form) as process:
        process.communicate()
        assert process.returncode == 3
    assert tree(folder) == tree(unbroken)
    there = whole_flow(folder)
    assert {path: there[path] for path in written_down} == written_down


@pytest.mark.slow
def test_two_runs_at_once_do_the_work_of_one(many: Path, tmp_path: Path) -> None:
    with start(many, tmp_path / "alone") as process:
        process.communicate()
    folder = tmp_path / "flow"
    with start(many, folder, "--json") as first, start(many, folder, "--json") as second:
        results = [json.loads(process.communicate()[0]) for process in (first, second)]
    assert (first.returncode, second.returncode) == (3, 3)
    assert results[0]["results"] == results[1]["results"]
    assert tree(folder) == tree(tmp_path / "alone")


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_ends_soon_and_says_so(
    many: Path, tmp_path: Path, number: int, code: int
) -> None:
    folder = tmp_path / "flow"
    with start(many, folder) as process:
        while not ledger(folder) and process.poll() is None:
            time.sleep(0.005)
        process.send_signal(number)
        said = process.communicate(timeout=30)[1].decode()
    assert process.returncode == code
    assert "the same command goes on from here" in said
    assert "Traceback" not in said
    with start(many, folder) as process:
        process.communicate()
        assert process.returncode == 3
    with start(many, tmp_path / "whole") as process:
        process.communicate()
    assert tree(folder) == tree(tmp_path / "whole")
