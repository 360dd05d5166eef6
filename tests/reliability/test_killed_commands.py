"""Every command, killed anywhere and started again, ends as one that nothing happened to.

More of this is beside the code: flow in `tests/extraction/test_killed_extraction.py`, training in
`tests/training/test_resume.py`, the service in `tests/serving/test_jobs.py`.
"""

import itertools
import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from broken_runs import Ended, Server, Tree, half_files, tree
from small_data import COMMANDS, Data

CALLS = ("open", "write", "fsync", "replace", "unlink")
ELSEWHERE = {"flow", "train"}
"""Killed around the other calls than `write` beside their code."""

POINTS = tuple(itertools.product(CALLS, ("before", "after", "half")))


def units(folder: Path) -> set[Path]:
    """Return the videos that are done, each a file that is complete."""
    found = {*folder.rglob("*.unfinished/*.npz"), *folder.rglob("*.mkv")}
    return {path for path in found if path.name[0] != "."}


def goes_on(marey: Server, words: tuple[str | Path, ...], folder: Path, expected: Tree) -> None:
    """Run a command again that was killed, and compare."""
    done = units(folder)
    ended = marey.run(*words, at=folder)
    assert ended.code == 0, ended.said
    assert tree(folder) == expected, folder
    assert not half_files(folder)
    assert done.isdisjoint(ended.named)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_killed_thrice_goes_on_to_the_same_bytes(
    marey: Server, data: Data, whole: Callable[[str], Tree], tmp_path: Path, command: str
) -> None:
    words = data.words(command)
    chance = random.Random()
    folder = tmp_path / "at"
    faults: list[str] = []  # Shown where the test fails.
    for _ in range(3):
        call, when = chance.choice(POINTS)
        fault = f"{call}:{chance.randint(1, 3)}:{when if call == 'write' else 'before'}"
        faults.append(fault)
        done = units(folder)
        ended = marey.run(*words, at=folder, fault=fault)
        assert ended.killed or ended.code == 0, (faults, ended.said)
        assert done.isdisjoint(ended.named), faults
    goes_on(marey, words, folder, whole(command))


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_killed_around_any_call_goes_on_to_the_same_bytes(
    marey: Server, data: Data, whole: Callable[[str], Tree], tmp_path: Path, command: str
) -> None:
    words = data.words(command)
    tried = 0
    for call, when in POINTS:
        if call != "write" and (when == "half" or command in ELSEWHERE):
            continue
        for number in itertools.count(1):
            folder = tmp_path / f"{call} {number} {when}"
            ended = marey.run(*words, at=folder, fault=f"{call}:{number}:{when}")
            if not ended.killed:
                assert ended.code == 0, ended.said
                break
            goes_on(marey, words, folder, whole(command))
            tried += 1
    assert tried >= 9


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_killed_at_twenty_times_goes_on_to_the_same_bytes(
    marey: Server, data: Data, whole: Callable[[str], Tree], tmp_path: Path, command: str
) -> None:
    words = data.words(command)
    expected = whole(command)
    begin = time.monotonic()
    assert marey.run(*words, at=tmp_path / "timed").code == 0
    usual = time.monotonic() - begin
    chance = random.Random()
    kills = 0
    for number in itertools.count(1):
        folder = tmp_path / str(number)
        while kills < 20:
            done = units(folder)
            started = marey.start(*words, at=folder)
            time.sleep(chance.uniform(0, usual))
            started.kill()
            ended: Ended = started.ended()
            assert ended.killed or ended.code == 0, ended.said
            assert done.isdisjoint(ended.named)
            if not ended.killed:
                break
            kills += 1
        goes_on(marey, words, folder, expected)
        if kills == 20:
            break
