import csv
import io

import pytest

from marey.report._csv import csv_text


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_text_that_a_spreadsheet_would_run_gets_an_apostrophe(start: str) -> None:
    text = csv_text(["path", f"{start}head"], [[f"{start}1+1", "plain"]])
    header, row = csv.reader(io.StringIO(text, newline=""))
    assert header[1] == f"'{start}head"
    assert row == [f"'{start}1+1", "plain"]


def test_numbers_stay_numbers_and_nothing_is_an_empty_cell() -> None:
    assert csv_text(["a", "b", "c"], [[3, 0.5, None]]) == "a,b,c\n3,0.500000,\n"


def test_commas_quotes_and_newlines_come_back_as_they_were() -> None:
    name = 'a "b", c\nd'
    rows = list(csv.reader(io.StringIO(csv_text(["x"], [[name]]), newline="")))
    assert rows[1] == [name]
