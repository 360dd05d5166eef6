import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from marey.report._charts import axis_over, cells_of


@given(st.floats(-1e4, 1e4), st.floats(1e-4, 1e4), st.integers(2, 6))
def test_an_axis_holds_its_values_in_few_round_steps(low: float, span: float, most: int) -> None:
    axis = axis_over(low, low + span, at_most=most)
    slack = 1e-6 * axis.step
    assert axis.low <= low + slack
    assert axis.high >= low + span - slack
    assert 1 <= round((axis.high - axis.low) / axis.step) <= most
    assert (axis.at(axis.low), axis.at(axis.high)) == (0, 100)
    mantissa = axis.step / 10 ** np.floor(np.log10(axis.step) + 1e-9)
    assert any(np.isclose(mantissa, round_one) for round_one in (1, 2, 5))


def test_an_axis_of_nothing_but_one_value_has_a_length() -> None:
    axis = axis_over(0.0, 0.0)
    assert axis.high > axis.low


def test_ticks_are_written_as_short_as_they_can_be() -> None:
    assert [tick.text for tick in axis_over(0.0, 0.9, at_most=5).ticks] == [
        "0", "0.2", "0.4", "0.6", "0.8", "1.0",
    ]  # fmt: skip
    assert [tick.text for tick in axis_over(0.0, 0.0005, at_most=5).ticks][1] == "1e-4"


def test_only_cells_that_hold_something_are_drawn_darker_the_more_of_the_row_they_hold() -> None:
    cells = cells_of(np.array([[9, 1], [0, 5]]))
    assert [(cell.row, cell.column, cell.count, cell.videos) for cell in cells] == [
        (0, 0, 9, 10), (0, 1, 1, 10), (1, 1, 5, 5),
    ]  # fmt: skip
    assert cells[1].strength < cells[0].strength < cells[2].strength == 1
    assert [cell.text for cell in cells] == ["9", "1", "5"]


def test_numbers_are_left_out_where_there_is_no_room() -> None:
    assert {cell.text for cell in cells_of(np.eye(101, dtype=np.int64))} == {""}
