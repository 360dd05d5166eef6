"""The queue drops the oldest frames, counts them, and never drops news."""

import threading
import time

import av
from hypothesis import given
from hypothesis import strategies as st

from marey.watching import Handover, Lost
from marey.watching._handover import Shot

FRAME = av.VideoFrame(16, 16, "yuv420p")


def shot(number: int) -> Shot:
    return Shot(FRAME, float(number), float(number), 0)


def test_the_oldest_are_dropped_and_counted() -> None:
    queue = Handover(3)
    for number in range(5):
        queue.offer(shot(number))
    taken = [queue.take(0.0) for _ in range(4)]
    assert [item.time for item in taken if isinstance(item, Shot)] == [2, 3, 4]
    assert taken[3] is None
    assert (queue.offered, queue.dropped) == (5, 2)


def test_news_overtake_frames_and_are_kept() -> None:
    queue = Handover(1)
    lost = Lost("gone")
    queue.offer(shot(0))
    queue.tell(lost)
    queue.offer(shot(1))
    assert queue.take(0.0) is lost
    item = queue.take(0.0)
    assert isinstance(item, Shot)
    assert item.time == 1


def test_it_is_over_when_closed_and_empty() -> None:
    queue = Handover(2)
    queue.offer(shot(0))
    queue.close()
    assert not queue.over
    assert queue.take(0.0) is not None
    assert queue.over
    begun = time.monotonic()
    assert queue.take(60.0) is None
    assert time.monotonic() - begun < 1


def test_who_waits_is_woken() -> None:
    queue = Handover(2)
    threading.Timer(0.02, queue.offer, [shot(7)]).start()
    item = queue.take(60.0)
    assert isinstance(item, Shot)
    assert item.time == 7


@given(st.lists(st.booleans(), max_size=60), st.integers(1, 5))
def test_every_frame_is_taken_in_order_or_counted_as_dropped(offers: list[bool], length: int):
    queue = Handover(length)
    taken: list[float] = []
    for number, offers_one in enumerate(offers):
        if offers_one:
            queue.offer(shot(number))
        elif isinstance(item := queue.take(0.0), Shot):
            taken.append(item.time)
    while isinstance(item := queue.take(0.0), Shot):
        taken.append(item.time)
    assert taken == sorted(taken)
    assert len(taken) + queue.dropped == queue.offered == sum(offers)
