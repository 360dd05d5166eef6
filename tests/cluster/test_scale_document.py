import re
import shlex
from pathlib import Path

import pytest

from marey.cli import app

ROOT = Path(__file__).parents[2]
BLOCKS = re.findall(r"```sh\n(.*?)```", (ROOT / "docs" / "scale.md").read_text(), flags=re.DOTALL)
LINES = [line for block in BLOCKS for line in block.splitlines() if line]


@pytest.mark.parametrize("line", [line for line in LINES if line.startswith("marey ")])
def test_a_command_of_the_document_is_one_that_marey_takes(line: str) -> None:
    app.parse_args(shlex.split(line)[1:], exit_on_error=False, print_error=False)


@pytest.mark.parametrize("line", [line for line in LINES if line.startswith("python ")])
def test_a_script_of_the_document_is_there(line: str) -> None:
    assert (ROOT / shlex.split(line)[1]).is_file()
