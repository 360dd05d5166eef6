"""How many workers a task of many videos can use, simulated from what was measured.

    python benchmarks/cluster.py jhmdb-split1.csv --save cluster.json
    python benchmarks/simulate.py cluster.json

First it repeats the measurement with two workers from the times of one. Then it predicts a data
set of 650,000 videos on up to 1,000 workers, whose times are drawn from the measured ones.

The head node hands out one task after the other, and a worker asks for the next when it begins
one, so that it need not wait. A video comes from shared storage, which serves one after the other
at its bandwidth. A worker that fails loses its task, which another does again, and is back later.
"""

import argparse
import heapq
import json
import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path

HOUR = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What the workers share, and what happens to them."""

    workers: int
    hand_out: float = 0.0
    """Seconds in which the head node hands out one task."""

    bandwidth: float = float("inf")
    """Bytes a second of the storage."""

    restart: float = 60.0
    """Seconds until a worker that failed is back."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a simulated run."""

    seconds: float
    busy: float
    """Share of the workers' time that went into tasks that were done."""

    lost: int
    """Tasks that were begun and lost."""

    tail: float
    """Seconds at the end in which not all workers had something to do."""


def simulate(
    machine: Machine,
    seconds: Iterable[float],
    *,
    size: float = 0.0,
    lifetime: Callable[[], float] = lambda: float("inf"),
) -> Outcome:
    """Return how long tasks take that are handed out in their order.

    Args:
        machine: The workers and what they share.
        seconds: What each task takes one worker.
        size: Bytes that each reads first.
        lifetime: Draws how long a worker lives before it fails.
    """
    # When each worker is free, when it asked for its next task, when it fails.
    free = [(0.0, 0.0, number, lifetime()) for number in range(machine.workers)]
    heapq.heapify(free)
    lost: list[tuple[float, float]] = []  # When, and what it takes.
    waiting = iter(seconds)
    head = storage = done = end = 0.0
    losses = 0
    while True:
        now, asked, number, fails = free[0]
        if lost and lost[0][0] <= now:
            task = heapq.heappop(lost)[1]
        elif (following := next(waiting, None)) is not None:
            task = following
        elif lost:
            # Nothing else is left, so this worker waits for what another will lose.
            heapq.heapreplace(free, (lost[0][0], asked, number, fails))
            continue
        else:
            break
        head = max(head, asked) + machine.hand_out
        begin = max(now, head)
        storage = max(storage, begin) + size / machine.bandwidth
        finish = storage + task
        if finish > fails:
            losses += 1
            when = max(fails, now)
            heapq.heappush(lost, (when, task))
            back = when + machine.restart
            heapq.heapreplace(free, (back, back, number, back + lifetime()))
            continue
        done += task
        end = max(end, finish)
        heapq.heapreplace(free, (finish, begin, number, fails))
    tail = max(end - free[0][0], 0.0)
    return Outcome(end, done / (machine.workers * end), losses, tail)


def drawn(measured: list[float], count: int, *, seed: int) -> Iterator[float]:
    """Yield as many times, each one of those measured."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    return (chance.choice(measured) for _ in range(count))


def failing(hours: float, *, seed: int) -> Callable[[], float]:
    """Return what draws lives of so many hours on average."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    return lambda: chance.expovariate(1 / (hours * HOUR))


def main() -> None:
    """Compare with the measurement, then predict."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("measured", type=Path, help="what benchmarks/cluster.py saved")
    parser.add_argument("--videos", type=int, default=650_000)
    parser.add_argument("--bytes", type=float, default=0.6e6, help="of a video")
    parser.add_argument("--bandwidth", type=float, default=1.25e9, help="of the storage, bytes/s")
    parser.add_argument("--hours", type=float, default=1000.0, help="until a worker fails")
    parser.add_argument("--slow", type=float, default=0.001, help="share of tasks 20 times as long")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    for name, row in json.loads(arguments.measured.read_text()).items():
        compare(name, row)
        predict(name, row, arguments)


def compare(name: str, row: dict[str, list[float] | float]) -> None:
    """Print the measurement with two workers beside the simulated one."""
    one, two = row["seconds"], row["two"]
    hand_out = row["hand_out"]
    assert isinstance(one, list)
    assert isinstance(two, float)
    assert isinstance(hand_out, float)
    simulated = simulate(Machine(workers=2, hand_out=hand_out), one).seconds
    print(
        f"{name}: 2 workers measured {two:.2f} s, simulated {simulated:.2f} s "
        f"({simulated / two - 1:+.1%}); 1 worker {sum(one):.2f} s"
    )


def predict(name: str, row: dict[str, list[float] | float], arguments: argparse.Namespace) -> None:
    """Print what a large data set takes on more and more workers."""
    one, hand_out = row["seconds"], row["hand_out"]
    assert isinstance(one, list)
    assert isinstance(hand_out, float)
    # Stragglers: the disk, the neighbour or the film that is twenty times as long.
    longer = row["longer"]
    assert isinstance(longer, float)
    times = [longer * seconds for seconds in one]
    plain = round(arguments.videos * (1 - arguments.slow))
    print(f"{name}, {arguments.videos:,} videos, {1e3 * hand_out:.2f} ms to hand one out")
    print("workers    hours   speed-up   busy   lost   tail, s")
    work = 0.0
    for workers in (1, 8, 64, 256, 1000, 4000):
        chance = random.Random(arguments.seed)  # noqa: S311 - no secret
        factors = [*repeat(1.0, plain), *repeat(20.0, arguments.videos - plain)]
        chance.shuffle(factors)
        seconds = (
            factor * time
            for factor, time in zip(
                factors, drawn(times, arguments.videos, seed=arguments.seed), strict=True
            )
        )
        machine = Machine(workers=workers, hand_out=hand_out, bandwidth=arguments.bandwidth)
        outcome = simulate(
            machine,
            seconds,
            size=arguments.bytes,
            lifetime=failing(arguments.hours, seed=arguments.seed),
        )
        work = work or outcome.seconds
        print(
            f"{workers:7} {outcome.seconds / HOUR:8.2f} {work / outcome.seconds:10.1f} "
            f"{outcome.busy:6.1%} {outcome.lost:6} {outcome.tail:9.0f}"
        )


if __name__ == "__main__":
    main()
