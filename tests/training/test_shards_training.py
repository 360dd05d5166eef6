"""Training takes videos in shards as it takes files."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from marey.data import write_shards
from marey.errors import UsageError
from marey.index import Index, read_index, write_index
from marey.settings import Training

Short = Callable[..., Training]


@pytest.fixture
def sharded(films: Index, runs: Any, tmp_path: Path) -> Any:
    """Runs on the films in shards of two each, read from an index elsewhere."""
    inside = write_shards(films, tmp_path / "shards", megabytes=0.04)
    (tmp_path / "lists").mkdir()
    write_index(inside, tmp_path / "lists" / "index.csv")
    assert len(list((tmp_path / "shards").glob("*.tar"))) > 1
    return type(runs)(read_index(tmp_path / "lists" / "index.csv"))


@pytest.mark.parametrize("views", [0, 2])
def test_a_run_on_shards_that_was_stopped_ends_in_the_same_bytes(
    sharded: Any, short: Short, tmp_path: Path, views: int
) -> None:
    settings = short(cached_views=views, save_minutes=0.0)
    whole, _ = sharded.to_the_end(settings, tmp_path / "whole")
    sharded.stopped(settings, tmp_path / "run", at=4)
    outcome, _ = sharded.to_the_end(settings, tmp_path / "run")
    assert outcome.model.read_bytes() == whole.model.read_bytes()


def test_a_shard_that_is_missing_is_named_before_anything_is_learnt(
    sharded: Any, short: Short, tmp_path: Path
) -> None:
    (tmp_path / "shards" / "shard-000000.tar").unlink()
    with pytest.raises(UsageError, match=r"videos are missing:\n .*000000\.tar/0000"):
        sharded.to_the_end(short(), tmp_path / "run")
