"""No command changes what it is given; `check` is in `test_media_tricks.py`."""

import shutil
from pathlib import Path

import pytest
from broken_runs import Server, tree
from small_data import COMMANDS, Data

pytestmark = pytest.mark.slow


def state(folder: Path) -> dict[str, tuple[str, int]]:
    """Return what files hold, and when they were last changed."""
    hashes = tree(folder)
    return {name: (hashes[name], (folder / name).stat().st_mtime_ns) for name in hashes}


@pytest.mark.usefixtures("graph")
@pytest.mark.parametrize("command", [*COMMANDS, "fuse"])
def test_a_command_only_reads_its_inputs(
    marey: Server, data: Data, tmp_path: Path, command: str
) -> None:
    fuse = ("fuse", data.scores, "other.npz", "--out=out.npz")
    words = fuse if command == "fuse" else data.words(command)
    shutil.copy(data.scores, tmp_path / "other.npz")
    before = state(data.root)
    ended = marey.run(*words, at=tmp_path)
    assert ended.code == 0, ended.said
    assert state(data.root) == before
