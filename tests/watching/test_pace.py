"""Recordings play in real time."""

import pytest

from marey.watching import Pace


def test_parts_are_due_as_far_apart_as_their_stamps() -> None:
    pace = Pace()
    assert [pace.due(time, 100.0) for time in (0.0, 0.04, 0.08, 2.0)] == [100, 100.04, 100.08, 102]


def test_a_little_lateness_is_made_up_for() -> None:
    pace = Pace()
    pace.due(0.0, 100.0)
    assert pace.due(0.04, 100.9) == pytest.approx(100.04)
    assert pace.due(1.0, 101.1) == pytest.approx(101.0)


def test_who_is_too_late_goes_on_from_there() -> None:
    pace = Pace()
    pace.due(0.0, 100.0)
    assert pace.due(0.04, 105.0) == 105.0
    assert pace.due(0.08, 105.0) == pytest.approx(105.04)


@pytest.mark.parametrize("jump", [1e6, -5.0])
def test_stamps_that_jump_are_not_waited_for(jump: float) -> None:
    pace = Pace()
    pace.due(20.0, 100.0)
    assert pace.due(20.0 + jump, 100.0) == 100.0
    assert pace.due(20.04 + jump, 100.0) == pytest.approx(100.04)
