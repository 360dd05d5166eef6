"""Several processes learn together what one learns alone."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.distributed import HashStore
from torch.distributed.distributed_c10d import Store

from marey._meeting import part_of_this_start
from marey.errors import UsageError
from marey.index import Index
from marey.models import load_tensors
from marey.ranks import ALONE, Ranks
from marey.settings import Training
from marey.training import Progress, fit
from marey.training._setup import build_network, clips_of, divide
from marey.training._step import parts_of_pass

Short = Callable[..., Training]
Log = Callable[[Path], list[dict[str, Any]]]
Train = Callable[..., tuple[str, str, list[int]]]


@given(things=st.integers(0, 50), count=st.integers(1, 9))
def test_shares_are_stretches_that_make_up_the_whole_and_differ_by_one_at_most(
    things: int, count: int
) -> None:
    shares = [Ranks(rank, count).share(things) for rank in range(count)]
    assert [number for share in shares for number in share] == list(range(things))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_alone_nothing_is_sent() -> None:
    about = object()  # Nothing that JSON could hold.
    assert ALONE.is_first
    assert ALONE.tell(lambda: ({}, about)) == ({}, about)
    assert ALONE.gather({}, about) == [({}, about)]
    assert ALONE.all_true(True)
    assert not ALONE.all_true(False)


@pytest.mark.parametrize("late", range(3))
def test_whoever_is_late_all_meet_where_no_earlier_start_has_been(late: int) -> None:
    store = HashStore()
    # Two of three came, and were ended while they waited for the first.
    for rank in (1, 2):
        with pytest.raises(RuntimeError, match="not all of 3 processes came within"):
            part_of_this_start(store, rank, 3, timeout=timedelta(seconds=0.1))
    # The first and another came, but not the third.
    with ThreadPoolExecutor() as two:
        came = [
            two.submit(part_of_this_start, store, rank, 3, timeout=timedelta(seconds=0.2))
            for rank in (0, 1)
        ]
    assert all(isinstance(one.exception(), RuntimeError) for one in came)
    for start in ("whole", "again"):
        parts = met(store, 3, late=late)
        assert not any(part.check(["port"]) for part in parts)
        parts[late].set("port", start)
        assert [part.get("port") for part in parts] == 3 * [start.encode()]


def met(store: Store, count: int, *, late: int) -> list[Store]:
    def come(rank: int) -> Store:
        time.sleep(0.2 * (rank == late))
        return part_of_this_start(store, rank, count, timeout=timedelta(seconds=60))

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(come, range(count)))


@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # More than there are cores.
@pytest.mark.parametrize(
    ("workers", "count"), [(1, 1), (2, 1), (4, 1), (1, 2), (2, 2), (4, 2), (0, 3)]
)
def test_any_number_of_workers_and_processes_sees_the_same_videos_in_the_same_order(
    films: Index, short: Short, workers: int, count: int
) -> None:
    settings = short(batch=4, at_once=1, workers=workers)
    learn, _ = divide(films, settings)
    clips = clips_of(learn, build_network(settings, films.classes), settings)
    shares = []
    for rank in range(count):
        parts = parts_of_pass(clips, settings, Progress(), Ranks(rank, count), pinned=False)
        shares.append([int(torch.as_tensor(part.number)[0]) for part in parts])
    order = np.random.default_rng((settings.seed, 0)).permutation(6)
    steps = []
    for videos in (4, 2):
        for rank, share in enumerate(shares):
            ours = len(Ranks(rank, count).share(videos))
            steps += share[:ours]
            del share[:ours]
    assert steps == order.tolist()
    assert not any(shares)


def test_processes_that_a_step_has_no_part_for_are_refused(
    films: Index, short: Short, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="4 videos in 2 parts of at most 3, so 3 processes are"):
        fit(
            short(batch=4, at_once=3),
            films,
            tmp_path / "run",
            report=lambda *_, **__: None,
            ranks=Ranks(2, 3),
        )
    assert not (tmp_path / "run").exists()


def test_two_processes_learn_what_one_does_and_the_first_alone_writes(
    runs: Any, short: Short, tmp_path: Path, log_of: Log, train: Train
) -> None:
    # Batch normalisation keeps statistics, so that they have to be put together too.
    settings = short(frozen_stages=0, partial_bn=False, batch=4)
    runs.to_the_end(settings, tmp_path / "one")
    printed, _, codes = train(settings, tmp_path / "two", count=2)
    assert codes == [0, 0]
    assert printed == f"{tmp_path / 'two' / 'model.safetensors'}\n"
    one, two = (log_of(tmp_path / name) for name in ("one", "two"))
    assert [line["step"] for line in one] == [line["step"] for line in two]
    for name in ("loss", "training_loss", "validation_loss"):
        ours = [line[name] for line in two if name in line]
        assert ours == pytest.approx([line[name] for line in one if name in line], abs=1e-5)
    alone, _ = load_tensors(tmp_path / "one" / "last.safetensors")
    together, _ = load_tensors(tmp_path / "two" / "last.safetensors")
    assert alone.keys() == together.keys()
    for name, tensor in alone.items():
        torch.testing.assert_close(together[name], tensor, rtol=1e-4, atol=1e-5, msg=name)
    names = [sorted(file.name for file in (tmp_path / run).iterdir()) for run in ("one", "two")]
    assert names[0] == names[1]
    assert len(list((tmp_path / "two" / "tensorboard").iterdir())) == 1
