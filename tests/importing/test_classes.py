from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marey.errors import UsageError
from marey.importing import read_classes

NAMES = ("ApplyEyeMakeup", "Baby Crawling", "3 steps")


@pytest.mark.parametrize(
    "text",
    [
        "ApplyEyeMakeup\nBaby Crawling\n3 steps\n",
        "\ufeffApplyEyeMakeup\r\nBaby Crawling\r\n\r\n3 steps",
        "1 ApplyEyeMakeup\r\n2 Baby Crawling\r\n3 3 steps\r\n",
        "0 ApplyEyeMakeup\n1\tBaby Crawling\n2   3 steps\n",
        "# classes: ApplyEyeMakeup,Baby Crawling,3 steps\npath,label\na.avi,Baby Crawling\n",
    ],
)
def test_names_are_read_in_their_order(text: str, tmp_path: Path) -> None:
    path = tmp_path / "classes.txt"
    path.write_bytes(text.encode())
    assert read_classes(path) == NAMES


def test_an_index_gives_its_classes(tmp_path: Path) -> None:
    path = tmp_path / "index.csv"
    path.write_text("path,label\nb.avi,walk\na.avi,run\n")
    assert read_classes(path) == ("run", "walk")


@settings(max_examples=50, deadline=None)
@given(
    names=st.lists(st.from_regex(r"[a-z][a-z ]*[a-z]", fullmatch=True), min_size=1, unique=True),
    first=st.sampled_from([None, 0, 1]),
)
def test_numbers_are_no_part_of_names(
    names: list[str], first: int | None, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "drawn.txt"
    numbers = [""] * len(names) if first is None else [f"{first + n} " for n in range(len(names))]
    path.write_text("".join(f"{n}{name}\n" for n, name in zip(numbers, names, strict=True)))
    assert read_classes(path) == tuple(names)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "names no class"),
        (b"\n \n", "names no class"),
        (b"run\nsit\nrun\n", "names 1 classes twice, such as 'run'"),
        (b"1 run\n3 sit\n", "'sit' has number 3 where 2 was expected"),
        (b"2 run\n3 sit\n", "'run' has number 2 where 1 was expected"),
        (b"\xff\xfe", "not UTF-8"),
        (b"9" * 5000 + b" run\n" + b"9" * 5000 + b" run\n", "names 1 classes twice"),
        (b"path,label\n", "names no video"),
    ],
)
def test_a_list_that_is_none_is_wrong_usage(data: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "classes.txt"
    path.write_bytes(data)
    with pytest.raises(UsageError, match=message):
        read_classes(path)
    with pytest.raises(UsageError, match="is the path right"):
        read_classes(tmp_path / "other.txt")
