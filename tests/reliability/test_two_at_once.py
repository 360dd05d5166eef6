"""Two runs of one command on one output do no harm to each other."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from broken_runs import Server, Tree, half_files, tree
from small_data import COMMANDS, Data

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("command", COMMANDS)
def test_two_runs_at_once_leave_what_one_leaves(
    marey: Server, data: Data, whole: Callable[[str], Tree], tmp_path: Path, command: str
) -> None:
    words = data.words(command)
    folder = tmp_path / "at"
    both = [marey.start(*words, at=folder) for _ in range(2)]
    ended = [run.ended() for run in both]
    assert [run.code for run in ended] == [0, 0], [run.said for run in ended]
    assert tree(folder) == whole(command)
    assert not half_files(folder)
    if command == "flow":
        made = Counter(path for run in ended for path in run.named if path.suffix == ".mkv")
        assert set(made.values()) == {1}
