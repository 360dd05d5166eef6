"""Many tasks through few places: as many under way as keep the workers busy, and no more."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol, TypeVar, runtime_checkable

Item = TypeVar("Item")
Result = TypeVar("Result")
Handle = TypeVar("Handle")
_Item = TypeVar("_Item", contravariant=True)
_Result = TypeVar("_Result", covariant=True)

TASKS_PER_WORKER = 2
"""One being done, and one to begin with at once."""

MAX_AHEAD = 4096
"""Results that may wait for one that comes before them."""


@runtime_checkable
class Executor(Protocol[_Item, Handle, _Result]):
    """Does tasks elsewhere."""

    def workers(self) -> int:
        """Return how many there are now; at least one."""
        ...

    def submit(self, item: _Item, /) -> Handle:
        """Begin a task."""
        ...

    def done(self, handles: Sequence[Handle], /) -> list[Handle]:
        """Wait until at least one task is done, and return all that are."""
        ...

    def result(self, handle: Handle, /) -> _Result:
        """Return what came of a task that is done."""
        ...

    def drop(self, handle: Handle, /) -> None:
        """Give up a task that nobody waits for any more."""
        ...


def stream(
    executor: Executor[Item, Handle, Result],
    items: Iterable[Item],
    *,
    max_ahead: int | None = None,
) -> Iterator[tuple[int, Result]]:
    """Yield each item's number and result, as they are done.

    Items are taken when there is a place for them, so they may be more than fit in memory.

    Args:
        executor: Does the tasks.
        items: What to do.
        max_ahead: No task begins this far behind the first that is not done; any may if None.
    """
    under_way: dict[Handle, int] = {}
    numbered = enumerate(items)
    begun = 0
    more = True
    try:
        while more or under_way:
            room = TASKS_PER_WORKER * executor.workers() - len(under_way)
            while more and room > 0 and not _too_far(begun, under_way, max_ahead):
                try:
                    number, item = next(numbered)
                except StopIteration:
                    more = False
                    break
                under_way[executor.submit(item)] = number
                begun += 1
                room -= 1
            if not under_way:
                break
            for handle in executor.done(list(under_way)):
                number = under_way.pop(handle)
                yield number, executor.result(handle)
    finally:
        for handle in under_way:
            executor.drop(handle)


def in_order(
    executor: Executor[Item, Handle, Result],
    items: Iterable[Item],
    *,
    max_ahead: int = MAX_AHEAD,
) -> Iterator[Result]:
    """Yield each item's result in the order of the items; few wait for one before them."""
    waiting: dict[int, Result] = {}
    following = 0
    for number, result in stream(executor, items, max_ahead=max_ahead):
        waiting[number] = result
        while following in waiting:
            yield waiting.pop(following)
            following += 1


def _too_far(begun: int, under_way: dict[Handle, int], max_ahead: int | None) -> bool:
    if max_ahead is None or not under_way:
        return False
    # Tasks begin in their order, so the first under way is the earliest.
    return begun - next(iter(under_way.values())) >= max_ahead
