"""Stamps rise, and those that rise are kept."""

from hypothesis import given
from hypothesis import strategies as st

from marey.annotation._clock import Clock

TICKS = st.integers(-(10**6), 10**9)


@given(stamps=st.lists(st.none() | TICKS, max_size=60), step=st.integers(1, 5000))
def test_stamps_rise_whatever_is_said(stamps: list[int | None], step: int) -> None:
    clock = Clock(90000.0)
    given_out = [clock.stamp(said, step) for said in stamps]
    assert given_out == sorted(set(given_out))


@given(stamps=st.lists(TICKS, unique=True, max_size=60).map(sorted))
def test_stamps_that_rise_are_kept(stamps: list[int]) -> None:
    clock = Clock(90000.0)
    assert [clock.stamp(said, 3600) for said in stamps] == stamps


def test_without_stamps_frames_follow_at_the_rate() -> None:
    clock = Clock(90000.0)
    assert [clock.stamp(None, 3600) for _ in range(4)] == [0, 3600, 7200, 10800]


def test_a_stamp_that_repeats_goes_a_tick_on_and_delays_nothing() -> None:
    clock = Clock(90000.0)
    assert [clock.stamp(said, 3600) for said in (0, 3600, 3600, 7200)] == [0, 3600, 3601, 7200]


def test_a_recording_that_begins_anew_goes_on_where_it_was() -> None:
    clock = Clock(1000.0)
    said = [5000, 5040, 5080, 0, 40, 80]
    assert [clock.stamp(stamp, 40) for stamp in said] == [5000, 5040, 5080, 5120, 5160, 5200]
