"""Percentiles of latencies, by hand and against a sort."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marey.watching import Latencies


def test_percentiles_of_a_hundred_are_their_ranks() -> None:
    latencies = Latencies()
    for number in range(1, 101):
        latencies.add(number / 1000, now=0.0)
    assert latencies.percentile(50.0) == pytest.approx(0.050)
    assert latencies.percentile(99.0) == pytest.approx(0.099)
    assert latencies.percentile(100.0) == latencies.largest == pytest.approx(0.100)
    assert latencies.recent([50.0, 99.0]) == pytest.approx([0.050, 0.099])
    assert len(latencies) == 100


def test_without_latencies_all_is_zero() -> None:
    latencies = Latencies()
    assert (len(latencies), latencies.percentile(99.0), latencies.largest) == (0, 0, 0)
    assert latencies.recent([50.0, 99.0]) == [0, 0]


def test_what_is_long_ago_is_not_recent_but_counts_in_all() -> None:
    latencies = Latencies(recent=10.0)
    latencies.add(5.0, now=0.0)
    latencies.add(0.2, now=9.0)
    assert latencies.recent([100.0]) == [5.0]
    latencies.add(0.1, now=10.5)
    assert latencies.recent([100.0]) == [0.2]
    assert latencies.percentile(100.0) == 5.0


def test_those_above_ten_seconds_are_the_largest() -> None:
    latencies = Latencies()
    for latency in (0.1, 12.0, 15.0):
        latencies.add(latency, now=0.0)
    assert latencies.percentile(50.0) == 15.0
    assert latencies.percentile(30.0) == pytest.approx(0.1)


def test_memory_does_not_grow() -> None:
    latencies = Latencies()
    for number in range(5000):
        latencies.add(0.01, now=number * 1e-4)
    assert len(latencies._recent) <= 1024
    assert len(latencies) == 5000


@given(
    st.lists(st.floats(0, 9.9), min_size=1, max_size=200),
    st.floats(0.1, 100),
)
def test_percentiles_are_those_of_a_sort_to_a_millisecond(values: list[float], percent: float):
    latencies = Latencies()
    for value in values:
        latencies.add(value, now=0.0)
    exact = sorted(values)[max(math.ceil(percent / 100 * len(values) - 1e-9), 1) - 1]
    assert latencies.recent([percent]) == [exact]
    assert exact - 1e-9 <= latencies.percentile(percent) <= exact + 1e-3 + 1e-9
