"""How work is timed."""

from itertools import count

import pytest

from marey.bench import Timing, steps_in_turn, timed, timed_in_turn


def test_work_is_warmed_up_once_and_timed_at_least_three_times() -> None:
    done: list[int] = []
    timing = timed(lambda: done.append(1), seconds=1e-9)
    assert timing.repeats == 3
    assert len(done) == 4


def test_median_and_fastest_leave_the_warm_up_out(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    steps = iter([100.0, 3.0, 1.0, 2.0])

    def work() -> None:
        nonlocal now
        now += next(steps)

    monkeypatch.setattr("marey.bench._timing.perf_counter", lambda: now)
    assert timed(work, seconds=5.0) == Timing(median=2.0, fastest=1.0, repeats=3)


def test_works_that_are_compared_take_turns() -> None:
    done: list[str] = []
    timings = timed_in_turn(lambda: done.append("a"), lambda: done.append("b"), repeats=2)
    assert "".join(done) == "ab" + "abab"
    assert [timing.repeats for timing in timings] == [2, 2]


def test_each_step_takes_what_the_one_before_it_returned(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = count()
    monkeypatch.setattr("marey.bench._timing.perf_counter", lambda: float(next(ticks)))
    given: list[object] = []

    def keep(value: object) -> object:
        given.append(value)
        return value

    way = {"read": lambda nothing: keep(nothing) or 5, "double": lambda seen: keep(2 * seen)}
    taken = steps_in_turn(way, seconds=1e-9)
    assert given == [None, 10] * 4  # Once to warm up, then three times.
    assert taken == [{"read": [1.0] * 3, "double": [1.0] * 3}]


def test_ways_take_turns_until_the_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = count()
    monkeypatch.setattr("marey.bench._timing.perf_counter", lambda: float(next(ticks)))
    done: list[str] = []
    ways = [{"all": lambda _, name=name: done.append(name)} for name in "ab"]
    # Each turn takes a tick for each way.
    taken = steps_in_turn(*ways, seconds=9.0)
    assert "".join(done) == "ab" + 5 * "ab"
    assert taken == [{"all": [1.0] * 5}] * 2
