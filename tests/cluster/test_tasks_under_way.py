from collections.abc import Iterator, Sequence
from itertools import count, islice

import pytest

from marey.cluster._stream import TASKS_PER_WORKER, in_order, stream


class Desk:
    """Does tasks in an order of its own: item 5 takes five turns, one turn a look."""

    def __init__(self, workers: int = 2, turns: int | None = None) -> None:
        self.there = workers
        self.turns = turns
        self.under_way: dict[int, int] = {}
        self.most = 0
        self.dropped: list[int] = []

    def workers(self) -> int:
        return self.there

    def submit(self, item: int, /) -> int:
        self.under_way[item] = item if self.turns is None else self.turns
        self.most = max(self.most, len(self.under_way))
        return item

    def done(self, handles: Sequence[int], /) -> list[int]:
        least = min(self.under_way[item] for item in handles)
        return [item for item in handles if self.under_way[item] == least]

    def result(self, handle: int, /) -> int:
        del self.under_way[handle]
        return handle * handle

    def drop(self, handle: int, /) -> None:
        self.dropped.append(handle)


@pytest.mark.parametrize("workers", [1, 2, 7])
@pytest.mark.parametrize("tasks", [0, 1, 5, 40])
def test_every_item_is_done_once_whatever_the_numbers(workers: int, tasks: int) -> None:
    items = list(range(tasks, 0, -1))
    done = list(stream(Desk(workers), items))
    assert sorted(done) == [(number, item * item) for number, item in enumerate(items)]


def test_results_come_as_they_are_done_or_in_the_order_of_the_items() -> None:
    assert [result for _, result in stream(Desk(2), [9, 1, 4])] == [1, 16, 81]
    assert list(in_order(Desk(2), [9, 1, 4])) == [81, 1, 16]


def test_no_more_items_are_taken_than_there_are_places_for_them() -> None:
    taken: list[int] = []

    def endless() -> Iterator[int]:
        for item in count(1):
            taken.append(item)
            yield item

    desk = Desk(3, turns=1)
    assert len(list(islice(stream(desk, endless()), 1000))) == 1000
    assert desk.most == 3 * TASKS_PER_WORKER
    assert len(taken) <= 1000 + 3 * TASKS_PER_WORKER


def test_a_cluster_that_grows_is_given_more() -> None:
    desk = Desk(1, turns=1)
    running = stream(desk, range(100))
    next(running)
    assert desk.most == TASKS_PER_WORKER
    desk.there = 5
    list(islice(running, 20))
    assert desk.most == 5 * TASKS_PER_WORKER


def test_few_results_wait_for_one_that_takes_long() -> None:
    begun: list[int] = []

    def items() -> Iterator[int]:
        for item in [1000, *range(1, 200)]:
            begun.append(item)
            yield item

    desk = Desk(2)
    running = in_order(desk, items(), max_ahead=10)
    assert next(running) == 1_000_000
    # The first and the nine after it: then nothing began until the first was done.
    assert begun == [1000, *range(1, 10)]
    assert list(running) == [item * item for item in range(1, 200)]


def test_what_nobody_waits_for_any_more_is_dropped() -> None:
    desk = Desk(2, turns=1)
    running = stream(desk, range(100))
    next(running)
    running.close()
    assert set(desk.dropped) == set(desk.under_way)
    assert desk.dropped


def test_an_error_of_a_task_ends_the_stream_and_drops_the_others() -> None:
    class Failing(Desk):
        def result(self, handle: int, /) -> int:
            if handle == 3:
                raise RuntimeError("a mistake of ours")
            return super().result(handle)

    desk = Failing(2)
    with pytest.raises(RuntimeError, match="a mistake of ours"):
        list(stream(desk, [3, 3, 4, 5]))
    assert set(desk.dropped) == {4, 5}
