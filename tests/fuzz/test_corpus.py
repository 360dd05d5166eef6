"""The inputs that fuzzing starts from, and those that once broke a parser, read again."""

from pathlib import Path

import pytest
from fuzz.targets import TARGETS, attempt, target_of

CORPUS = Path(__file__).parents[2] / "fuzz" / "corpus"
INPUTS = sorted(path for path in CORPUS.glob("*/*"))
# Sound inputs, by what they are; the others are refused.
REFUSED = {"metadata/off", "metadata/tsn", "scores/array"}


@pytest.mark.parametrize("path", INPUTS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_kept_input_is_read_or_refused_by_an_error_of_ours(path: Path, tmp_path: Path) -> None:
    taken = attempt(target_of(path.parent.name), path.read_bytes(), tmp_path)
    if path.name.startswith("broke-"):
        return
    assert taken is (f"{path.parent.name}/{path.name}" not in REFUSED)


def test_every_parser_has_inputs_to_start_from() -> None:
    assert {path.parent.name for path in INPUTS} == set(TARGETS)


def test_anything_but_a_refusal_of_ours_comes_out(tmp_path: Path) -> None:
    def broken(data: bytes, folder: Path) -> None:
        raise KeyError(data)

    with pytest.raises(KeyError):
        attempt(broken, b"", tmp_path)
