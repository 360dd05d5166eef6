import re
import shlex
from pathlib import Path

import pytest
from cyclopts.config import Toml

from marey.cli import app

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, flags=re.DOTALL)
LINES = [line for kind, block in BLOCKS if kind == "sh" for line in block.splitlines() if line]
# What torchrun starts is a command of ours.
OURS = [re.sub(r"^torchrun .*? -m marey ", "marey ", line) for line in LINES]
OURS = [line for line in OURS if line.startswith("marey ")]
OTHERS = [line for line in LINES if not line.startswith(("marey ", "torchrun "))]


@pytest.mark.parametrize("line", OURS)
def test_a_command_in_the_readme_is_one_that_marey_takes(
    line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = shlex.split(line)[1:]
    if "--recipe" in words:
        at = words.index("--recipe")
        recipe = ROOT / "src" / "marey" / "recipes" / f"{words[at + 1]}.toml"
        monkeypatch.setattr(app, "config", (Toml(recipe, must_exist=True),))
        del words[at : at + 2]
    app.parse_args(words, exit_on_error=False, print_error=False)


@pytest.mark.parametrize("line", OTHERS)
def test_any_other_command_in_the_readme_is_a_target_or_a_script_of_ours(line: str) -> None:
    words = shlex.split(line)
    if words[0] == "make":
        assert f"\n{words[1]}:" in (ROOT / "Makefile").read_text()
    elif words[0] == "python":
        assert (ROOT / words[1]).exists()
    else:
        assert words[:2] == ["pip", "install"]
        extra = re.fullmatch(r"\.(?:\[(\w+)\])?", words[2])
        assert extra
        assert extra[1] is None or f"\n{extra[1]} = [" in (ROOT / "pyproject.toml").read_text()


def test_python_in_the_readme_compiles_and_uses_public_names() -> None:
    import marey

    for kind, block in BLOCKS:
        if kind == "python":
            compile(block, "README.md", "exec")
            assert all(hasattr(marey, name) for name in re.findall(r"marey\.(\w+)", block))


def test_pictures_of_the_readme_are_there() -> None:
    pictures = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", README)
    assert pictures
    assert all((ROOT / picture).is_file() for picture in pictures)
