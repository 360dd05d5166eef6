"""Runs that are stopped, killed and damaged end as if nothing had happened."""

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
from typing import Any

import pytest

from marey.errors import UsageError
from marey.index import Index
from marey.settings import Optimisation, Training

Short = Callable[..., Training]
Log = Callable[[Path], list[dict[str, Any]]]

MANY_EPOCHS = 5


@pytest.fixture
def unbroken(runs: Any, short: Short, tmp_path: Path) -> bytes:
    outcome, _ = runs.to_the_end(short(), tmp_path / "unbroken")
    data = outcome.model.read_bytes()
    assert isinstance(data, bytes)
    return data


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(
    runs: Any, short: Short, tmp_path: Path, unbroken: bytes
) -> None:
    again, _ = runs.to_the_end(short(), tmp_path / "again")
    other, _ = runs.to_the_end(short(seed=1), tmp_path / "other")
    assert again.model.read_bytes() == unbroken
    assert other.model.read_bytes() != unbroken


@pytest.mark.parametrize(
    ("step", "save_minutes", "left"), [(1, 0, 6), (3, 0, 4), (5, 0, 2), (2, 5, 6), (5, 5, 3)]
)
def test_a_run_stopped_after_any_step_ends_in_the_same_bytes(
    runs: Any,
    short: Short,
    tmp_path: Path,
    unbroken: bytes,
    log_of: Log,
    step: int,
    save_minutes: int,
    left: int,
) -> None:
    # A run stops before it saves its last step, or all since the last pass.
    settings = short(save_minutes=float(save_minutes))
    out = tmp_path / "run"
    runs.stopped(settings, out, at=step)
    outcome, told = runs.to_the_end(settings, out)
    assert outcome.model.read_bytes() == unbroken
    assert told.steps == left
    assert_each_step_is_logged_once(log_of(out))
    assert (out / "log.jsonl").read_bytes() == (tmp_path / "unbroken" / "log.jsonl").read_bytes()


@pytest.mark.parametrize(
    "changes",
    [
        {"frozen_stages": 1, "optim": Optimisation(optimiser="adamw", lr=1e-3, cycles=2)},
        {"frozen_stages": 0, "partial_bn": False, "modality": "rgbdiff"},
        {"model": "off_tiny", "snippets": 3, "frozen_stages": 0},
        {"model": "off_tiny", "snippets": 3, "frozen_stages": 0, "cached_views": 2},
        {"model": "off_tiny", "snippets": 3, "cached_views": 2, "standardise": True},
    ],
    ids=["adamw", "batch norm", "off", "off on kept maps", "standardised off"],
)
def test_every_kind_of_run_resumes_in_the_middle_of_a_pass(
    runs: Any, short: Short, tmp_path: Path, changes: dict[str, Any]
) -> None:
    if changes.get("model") == "off_tiny":
        changes = changes | {"init": runs.to_the_end(short(epochs=1), tmp_path / "tsn")[0].model}
    settings = short(**changes, save_minutes=0.0)
    whole, _ = runs.to_the_end(settings, tmp_path / "whole")
    runs.stopped(settings, tmp_path / "run", at=3)
    runs.stopped(settings, tmp_path / "run", at=5)
    outcome, _ = runs.to_the_end(settings, tmp_path / "run")
    assert outcome.model.read_bytes() == whole.model.read_bytes()
    for name in ("last.safetensors", "validation.safetensors", "log.jsonl"):
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_the_number_of_workers_may_change_on_the_way(
    runs: Any, short: Short, tmp_path: Path, unbroken: bytes
) -> None:
    runs.stopped(short(workers=1, save_minutes=0.0), tmp_path / "run", at=3)
    runs.stopped(short(workers=0), tmp_path / "run", at=4)
    outcome, _ = runs.to_the_end(short(workers=1), tmp_path / "run")
    assert outcome.model.read_bytes() == unbroken


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "pickle"])
def test_a_damaged_save_gives_way_to_the_one_before(
    runs: Any, short: Short, tmp_path: Path, unbroken: bytes, log_of: Log, damage: str
) -> None:
    settings = short(save_minutes=0.0)
    out = tmp_path / "run"
    runs.stopped(settings, out, at=5)
    last = out / "last.safetensors"
    data = bytearray(last.read_bytes())
    data[len(data) // 2] ^= 1
    bad = {"cut": data[:1000], "flipped": data, "empty": b"", "pickle": b"\x80\x04K\x01."}
    last.write_bytes(bad[damage])
    outcome, told = runs.to_the_end(settings, out)
    assert told.said[0] == f"{out}: last.safetensors damaged; going on from step 3"
    assert outcome.model.read_bytes() == unbroken
    assert_each_step_is_logged_once(log_of(out))


def test_with_all_saves_damaged_a_run_says_so_and_starts_anew(
    runs: Any, short: Short, tmp_path: Path, unbroken: bytes
) -> None:
    settings = short(save_minutes=0.0)
    out = tmp_path / "run"
    runs.stopped(settings, out, at=5)
    for name in ("last", "previous"):
        (out / f"{name}.safetensors").write_bytes(b"damaged")
    outcome, told = runs.to_the_end(settings, out)
    assert "last.safetensors, previous.safetensors damaged; starting anew" in told.said[0]
    assert outcome.model.read_bytes() == unbroken


def test_a_finished_run_is_not_done_again(runs: Any, short: Short, tmp_path: Path) -> None:
    first, _ = runs.to_the_end(short(), tmp_path / "run")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "run").glob("*.safetensors")}
    boards = sorted((tmp_path / "run" / "tensorboard").iterdir())
    again, told = runs.to_the_end(short(), tmp_path / "run")
    assert told.events == []
    assert (again.model, again.best_epoch) == (first.model, first.best_epoch)
    assert again.validation.accuracy == first.validation.accuracy
    assert again.validation.by_head == first.validation.by_head
    assert (again.validation.heads["tsn"] == first.validation.heads["tsn"]).all()
    assert before == {path: path.stat().st_mtime_ns for path in before}
    assert boards == sorted((tmp_path / "run" / "tensorboard").iterdir())


@pytest.mark.parametrize("name", ["model", "validation"])
def test_a_lost_or_damaged_result_is_written_again_without_training(
    runs: Any, short: Short, tmp_path: Path, unbroken: bytes, name: str
) -> None:
    path = tmp_path / "unbroken" / f"{name}.safetensors"
    for damaged in (None, b"damaged"):
        path.unlink()
        if damaged is not None:
            path.write_bytes(damaged)
        outcome, told = runs.to_the_end(short(), tmp_path / "unbroken")
        assert told.steps == 0
        assert outcome.model.read_bytes() == unbroken


def test_the_folder_of_another_run_is_refused_with_what_differs(
    runs: Any, short: Short, tmp_path: Path, unbroken: bytes, films: Index
) -> None:
    with pytest.raises(UsageError, match=r"optim\.lr was 0\.01, is 0\.1; seed was 0, is 7\."):
        runs.to_the_end(short(seed=7, optim=Optimisation(lr=0.1)), tmp_path / "unbroken")
    fewer = Index(films.root, films.entries[1:], films.classes)
    with pytest.raises(UsageError, match="index was"):
        type(runs)(fewer).to_the_end(short(), tmp_path / "unbroken")
    assert (tmp_path / "unbroken" / "model.safetensors").read_bytes() == unbroken


# From here on real processes.


class Process:
    """A run of `marey train` in a process of its own."""

    def __init__(self, ask: Callable[[dict[str, Any]], str], pid: int) -> None:
        self.pid = pid
        self._ask = ask
        self._code: int | None = None

    def poll(self) -> int | None:
        if self._code is None:
            answer = self._ask({"pid": self.pid})
            self._code = None if answer == "runs" else int(answer)
        return self._code

    def wait(self) -> int:
        deadline = time.monotonic() + 120
        while (code := self.poll()) is None:
            assert time.monotonic() < deadline
            time.sleep(0.005)
        return code

    def kill(self) -> None:
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)


Start = Callable[..., Process]


@pytest.fixture(scope="session")
def ask() -> Iterator[Callable[[dict[str, Any]], str]]:
    command = [sys.executable, str(Path(__file__).with_name("small_marey.py"))]
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

        def ask(request: dict[str, Any]) -> str:
            requests.write(json.dumps(request) + "\n")
            requests.flush()
            return answers.readline().strip()

        yield ask


@pytest.fixture
def start(ask: Callable[[dict[str, Any]], str], films: Index, tmp_path: Path) -> Iterator[Start]:
    """Start `marey train` on the films."""
    started = []

    def start(
        settings: Training, out: Path, *, cache: Path | None = None, point: str | None = None
    ) -> Process:
        arguments = ["train", str(films.root / "index.csv"), "--out", str(out)]
        arguments += flags_of(settings)
        if cache is not None:
            arguments += ["--cache", str(cache)]
        said = str(tmp_path / "said.txt")
        pid = int(ask({"arguments": arguments, "said": said, "point": point}))
        started.append(Process(ask, pid))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def flags_of(settings: Training) -> list[str]:
    """Return the command-line flags of settings."""
    names = ("model", "epochs", "batch", "at_once", "dropout", "frozen_stages", "hold_out")
    names += (
        "snippets",
        "save_minutes",
        "workers",
        "threads",
        "device",
        "cached_views",
        "init",
        "seed",
    )
    flags = [f"--optim.lr={settings.optim.lr}"]
    for name in names:
        value = getattr(settings, name)
        if value is not None:
            flags.append(f"--{name.replace('_', '-')}={value}")
    return flags


def lines_in(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def kill_after(process: Process, log: Path, *, lines: int, seconds: float) -> bool:
    """Kill a run so many lines and seconds on; tell whether it was still running."""
    wanted = lines_in(log) + lines
    deadline = time.monotonic() + 120
    while lines_in(log) < wanted and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.002)
    time.sleep(seconds)
    process.kill()
    return process.wait() == -signal.SIGKILL


def assert_each_step_is_logged_once(log: list[dict[str, Any]]) -> None:
    steps = [line["step"] for line in log if "loss" in line]
    assert steps == list(range(1, len(steps) + 1))
    validated = [line["step"] for line in log if "validation_loss" in line]
    assert validated == sorted(set(validated))


def test_a_run_killed_thrice_ends_in_the_same_bytes(
    runs: Any, short: Short, tmp_path: Path, start: Start, log_of: Log
) -> None:
    settings = short(epochs=MANY_EPOCHS, save_minutes=0.0)
    whole, _ = runs.to_the_end(settings, tmp_path / "whole")
    out = tmp_path / "run"
    chance = random.Random()
    for workers in (0, 1, 0):
        process = start(replace(settings, workers=workers), out)
        kill_after(
            process, out / "log.jsonl", lines=chance.randint(1, 4), seconds=chance.uniform(0, 0.05)
        )
    assert not (out / "model.safetensors").exists()
    outcome, _ = runs.to_the_end(settings, out)
    assert outcome.model.read_bytes() == whole.model.read_bytes()
    assert_each_step_is_logged_once(log_of(out))
    assert not list(out.rglob("*partial*"))


def test_an_interrupted_run_says_so_and_goes_on(
    runs: Any, short: Short, tmp_path: Path, start: Start
) -> None:
    # Every step is saved, so the eighth file is named while workers decode.
    settings = short(epochs=MANY_EPOCHS, workers=1, save_minutes=0.0)
    out = tmp_path / "run"
    process = start(settings, out, point="replace:8:before:interrupt")
    assert process.wait() == 130
    said = (tmp_path / "said.txt").read_text()
    assert "Traceback" not in said
    assert "the same command goes on from here" in said
    settings = replace(settings, workers=0)
    whole, _ = runs.to_the_end(settings, tmp_path / "whole")
    outcome, _ = runs.to_the_end(settings, out)
    assert outcome.model.read_bytes() == whole.model.read_bytes()


@pytest.mark.slow
def test_two_runs_make_one_cache_at_the_same_time(
    runs: Any, short: Short, tmp_path: Path, start: Start
) -> None:
    # One network to start from, so that runs of different seeds have the same backbone.
    first, _ = runs.to_the_end(short(), tmp_path / "first")
    cached = replace(short(), init=first.model, cached_views=4, epochs=1)
    several = [replace(cached, seed=seed) for seed in range(2)]
    cache = tmp_path / "shared"
    processes = [start(run, tmp_path / f"run{run.seed}", cache=cache) for run in several]
    assert [process.wait() for process in processes] == [0, 0]
    assert len(list(cache.glob("train-*/*/*.safetensors"))) == 4 * 6
    for run in several:
        alone, _ = runs.to_the_end(run, tmp_path / f"alone{run.seed}")
        together = tmp_path / f"run{run.seed}" / "model.safetensors"
        assert together.read_bytes() == alone.model.read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["tsn", "off on kept maps"])
def test_a_run_killed_twenty_times_ends_in_the_same_bytes(
    runs: Any, short: Short, tmp_path: Path, start: Start, log_of: Log, kind: str
) -> None:
    settings = short(epochs=40, save_minutes=0.0, workers=1)
    if kind != "tsn":
        tsn, _ = runs.to_the_end(short(epochs=1), tmp_path / "tsn")
        settings = short(
            model="off_tiny",
            init=tsn.model,
            snippets=3,
            frozen_stages=0,
            cached_views=2,
            epochs=40,
            save_minutes=0.0,
            workers=1,
        )
    whole, _ = runs.to_the_end(settings, tmp_path / "whole")
    out = tmp_path / "run"
    chance = random.Random()
    kills = 0
    while kills < 20:
        # Every fourth soon after the start, so that beginnings and their clean-up are met too.
        lines = chance.randint(0, 9) if kills % 4 else 0
        seconds = chance.uniform(0, 0.1) if lines else chance.uniform(0, 1)
        process = start(settings, out)
        kills += 1
        if not kill_after(process, out / "log.jsonl", lines=lines, seconds=seconds):
            break
    assert kills >= 10
    process = start(settings, out)
    assert process.wait() == 0
    assert (out / "model.safetensors").read_bytes() == whole.model.read_bytes()
    assert_each_step_is_logged_once(log_of(out))
    assert not list(out.rglob("*partial*"))


@pytest.mark.slow
def test_a_run_killed_around_any_write_ends_in_the_same_bytes(
    runs: Any, short: Short, tmp_path: Path, start: Start, log_of: Log
) -> None:
    settings = short(epochs=1, batch=3, save_minutes=0.0)
    whole, _ = runs.to_the_end(settings, tmp_path / "whole")
    for name, when in itertools.product(("replace", "fsync"), ("before", "after")):
        for number in itertools.count(1):
            out = tmp_path / f"{name}{number}{when}"
            point = f"{name}:{number}:{when}"
            code = start(settings, out, point=point).wait()
            assert code in (0, -signal.SIGKILL)
            outcome, _ = runs.to_the_end(settings, out)
            assert outcome.model.read_bytes() == whole.model.read_bytes(), point
            assert_each_step_is_logged_once(log_of(out))
            assert not list(out.rglob("*partial*")), point
            if code == 0:
                break
