"""A label is told when it has lasted."""

from marey.watching import Settled


def told(labels: str, *, hold: float = 0.5, step: float = 0.25) -> str:
    settled = Settled(hold)
    return "".join(
        label if settled.told(label, number * step) else "." for number, label in enumerate(labels)
    )


def test_a_change_that_lasts_is_told_once() -> None:
    assert told("aaaaaabbbbbb") == "..a.....b..."


def test_flicker_is_not_told() -> None:
    assert told("aaaabbaaaacbcbca") == "..a............."


def test_with_no_hold_every_change_is_told() -> None:
    assert told("aabba", hold=0.0) == "a.b.a"


def test_time_that_goes_back_begins_anew() -> None:
    settled = Settled(1.0)
    assert not settled.told("a", 10.0)
    assert not settled.told("a", 2.0)
    assert settled.told("a", 3.0)


def test_after_forgetting_the_same_label_is_told_again() -> None:
    settled = Settled(0.0)
    assert [settled.told("a", 0.0), settled.told("a", 1.0)] == [True, False]
    settled.forget()
    assert settled.told("a", 2.0)
