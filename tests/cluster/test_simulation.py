import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="module")
def simulation() -> ModuleType:
    file = Path(__file__).parents[2] / "benchmarks" / "simulate.py"
    spec = importlib.util.spec_from_file_location("simulate", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["simulate"] = module
    spec.loader.exec_module(module)
    return module


def test_equal_tasks_take_the_time_of_those_of_one_worker(simulation: ModuleType) -> None:
    outcome = simulation.simulate(simulation.Machine(workers=2), [1.0] * 4)
    assert (outcome.seconds, outcome.busy, outcome.lost, outcome.tail) == (2.0, 1.0, 0, 0.0)


def test_the_longest_video_at_the_end_is_waited_for(simulation: ModuleType) -> None:
    """Two of 1 s begin, then one of 5 s at second 1; its fellow is idle from second 1 on."""
    outcome = simulation.simulate(simulation.Machine(workers=2), [1.0, 1.0, 5.0])
    assert (outcome.seconds, outcome.tail) == (6.0, 5.0)
    assert outcome.busy == pytest.approx(7 / 12)


def test_the_head_node_hands_out_one_task_after_the_other(simulation: ModuleType) -> None:
    """The tenth task is handed out at 5 s, whatever the number of workers."""
    machine = simulation.Machine(workers=10, hand_out=0.5)
    assert simulation.simulate(machine, [1.0] * 10).seconds == 6.0


def test_a_worker_asks_ahead_so_that_handing_out_costs_it_nothing(simulation: ModuleType) -> None:
    """The first task begins at 0.5 s; the next is ready long before the one before it is done."""
    machine = simulation.Machine(workers=1, hand_out=0.5)
    assert simulation.simulate(machine, [2.0] * 3).seconds == 6.5


def test_storage_serves_no_more_bytes_a_second_than_it_can(simulation: ModuleType) -> None:
    """Four videos of 100 bytes through 100 bytes/s: the last one has come at 4 s."""
    machine = simulation.Machine(workers=4, bandwidth=100.0)
    assert simulation.simulate(machine, [0.5] * 4, size=100.0).seconds == 4.5


def test_a_lost_task_is_done_again_when_a_worker_is_back(simulation: ModuleType) -> None:
    """Done at 3; begun at 3 and lost at 4; back at 5, done at 8."""
    lives = iter([4.0])
    outcome = simulation.simulate(
        simulation.Machine(workers=1, restart=1.0),
        [3.0, 3.0],
        lifetime=lambda: next(lives, float("inf")),
    )
    assert (outcome.seconds, outcome.lost) == (8.0, 1)
    assert outcome.busy == pytest.approx(6 / 8)


def test_a_lost_task_is_taken_by_another_worker_once_it_is_lost(simulation: ModuleType) -> None:
    """The first worker dies at 1 s of a task of 5 s; the second, idle since 0.5 s, begins then."""
    lives = iter([1.0])
    outcome = simulation.simulate(
        simulation.Machine(workers=2, restart=100.0),
        [5.0, 0.5],
        lifetime=lambda: next(lives, float("inf")),
    )
    assert (outcome.seconds, outcome.lost) == (6.0, 1)


def test_the_same_seed_draws_the_same_times(simulation: ModuleType) -> None:
    draws = [list(simulation.drawn([1.0, 2.0, 4.0], 50, seed=seed)) for seed in (3, 3, 4)]
    assert draws[0] == draws[1] != draws[2]
    assert set(draws[0]) == {1.0, 2.0, 4.0}
