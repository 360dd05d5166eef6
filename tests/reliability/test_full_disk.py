"""A disk that is full, or fails, ends a command with a message and leaves nothing half."""

import itertools
import random
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from broken_runs import Ended, Server, Tree, half_files, tree
from small_data import COMMANDS, Data

from marey.models import load_tensors

pytestmark = pytest.mark.slow

SAID = {
    "ENOSPC": "No space left on device",
    "EIO": "Input/output error",
    "EMFILE": "Too many open files",
}


def assert_clear(ended: Ended, error: str) -> None:
    """Assert that the last line tells what is wrong with which file."""
    assert ended.code == 1, ended.said
    assert "Traceback" not in ended.said
    last = ended.said.splitlines()[-1]
    assert SAID[error] in last
    if error == "ENOSPC":
        assert "it needs more than the " in last
    if error != "EMFILE":
        assert last.endswith("'"), last  # Of a file's name.


def assert_nothing_half(folder: Path, expected: Tree) -> None:
    """Assert that every file that has its name is whole."""
    assert not half_files(folder)
    for name, content in tree(folder).items():
        path = folder / name
        if path.name in ("ledger.jsonl", "log.jsonl", "question.txt") or path.is_dir():
            continue
        if path.suffix == ".safetensors":
            load_tensors(path)
        elif ".unfinished" not in name and path.name != "state.json":
            assert content == expected[name], name


def breaks(
    marey: Server, words: tuple[str | Path, ...], folder: Path, fault: str, expected: Tree
) -> bool:
    """Break a command, let it go on, and return whether it was broken."""
    ended = marey.run(*words, at=folder, fault=fault)
    if ended.code == 0:
        assert tree(folder) == expected
        return False
    assert_clear(ended, fault.rpartition(":")[2])
    assert_nothing_half(folder, expected)
    ended = marey.run(*words, at=folder)
    assert ended.code == 0, ended.said
    assert tree(folder) == expected
    return True


@pytest.mark.parametrize("command", COMMANDS)
def test_a_full_disk_is_told_and_the_command_goes_on_when_there_is_room(
    marey: Server, data: Data, whole: Callable[[str], Tree], tmp_path: Path, command: str
) -> None:
    number = 1 if command in ("prepare", "export") else random.Random().randint(1, 3)
    fault = f"write:{number}:ENOSPC"
    assert breaks(marey, data.words(command), tmp_path / "at", fault, whole(command)), fault


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """Mount a disk of so many bytes, or give one that is there another size."""
    place = tmp_path / "disk"
    place.mkdir()

    def small_disk(size: int) -> Path:
        again = ["-o", f"remount,size={size}"] if place.is_mount() else ["-o", f"size={size}"]
        command = ["mount", "-t", "tmpfs", *again, "tmpfs", str(place)]
        if subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("only root may mount")
        return place

    yield small_disk
    if place.is_mount():
        subprocess.run(["umount", str(place)], check=True)


@pytest.mark.parametrize("command", ["flow", "train", "test", "report"])
def test_a_real_disk_that_is_full_is_told_and_the_command_goes_on_when_there_is_room(
    marey: Server,
    data: Data,
    whole: Callable[[str], Tree],
    small_disk: Callable[[int], Path],
    command: str,
) -> None:
    folder = small_disk(3 * 4096)
    ended = marey.run(*data.words(command), at=folder)
    assert_clear(ended, "ENOSPC")
    assert_nothing_half(folder, whole(command))
    small_disk(1 << 24)
    ended = marey.run(*data.words(command), at=folder)
    assert ended.code == 0, ended.said
    assert tree(folder) == whole(command)


@pytest.mark.slow
@pytest.mark.parametrize("error", SAID)
@pytest.mark.parametrize("command", COMMANDS)
def test_an_error_of_any_of_thirty_calls_leaves_nothing_half(
    marey: Server,
    data: Data,
    whole: Callable[[str], Tree],
    tmp_path: Path,
    command: str,
    error: str,
) -> None:
    call = "open" if error == "EMFILE" else "write"
    broken = list(
        itertools.takewhile(
            lambda number: breaks(
                marey,
                data.words(command),
                tmp_path / str(number),
                f"{call}:{number}:{error}",
                whole(command),
            ),
            range(1, 31),
        )
    )
    assert broken
