"""The hashes in requirements.lock are those of what constraints.txt pins."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def pinned(text: str) -> dict[str, str]:
    pins = re.findall(r"^([\w.-]+)==([\w.+!-]+)", text, re.MULTILINE)
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in pins}


def test_every_pinned_package_is_locked() -> None:
    """Where this fails, constraints.txt has changed: `make lock`."""
    locked = pinned((ROOT / "requirements.lock").read_text())
    wanted = pinned((ROOT / "constraints.txt").read_text())
    assert {name: locked.get(name) for name in wanted} == wanted


def test_each_has_the_hash_of_a_file() -> None:
    locked = (ROOT / "requirements.lock").read_text()
    for package in re.split(r"\n(?=\S)", locked.strip()):
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", package), package
