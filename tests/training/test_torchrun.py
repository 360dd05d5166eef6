"""Processes that learn together: the same results for any number, and after any loss of one."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ranks_of_marey import recipe, together, torchrun

from marey.index import Index, write_index
from marey.settings import Training

pytestmark = pytest.mark.slow

Short = Callable[..., Training]
Log = Callable[[Path], list[dict[str, Any]]]
Train = Callable[..., tuple[str, str, list[int]]]


def test_losses_of_one_and_two_processes_agree_over_fifty_steps(
    runs: Any, short: Short, tmp_path: Path, log_of: Log, train: Train
) -> None:
    settings = short(frozen_stages=0, partial_bn=False, batch=4, epochs=25)
    runs.to_the_end(settings, tmp_path / "one")
    assert train(settings, tmp_path / "two", count=2)[2] == [0, 0]
    one, two = (
        [line["loss"] for line in log_of(tmp_path / name) if "loss" in line]
        for name in ("one", "two")
    )
    assert len(one) == 50
    assert two == pytest.approx(one, abs=1e-5)


def test_processes_make_the_kept_maps_together_and_learn_from_them_what_one_learns(
    runs: Any, short: Short, tmp_path: Path, log_of: Log, train: Train
) -> None:
    tsn, _ = runs.to_the_end(short(epochs=1), tmp_path / "tsn")
    settings = short(
        model="off_tiny", init=tsn.model, snippets=3, cached_views=2, standardise=True, batch=4
    )
    runs.to_the_end(settings, tmp_path / "one")
    assert train(settings, tmp_path / "two", count=2)[2] == [0, 0]
    one, two = (
        [line["loss"] for line in log_of(tmp_path / name) if "loss" in line]
        for name in ("one", "two")
    )
    assert two == pytest.approx(one, abs=1e-5)
    kept = [
        {file.relative_to(tmp_path / run): file.read_bytes() for file in files}
        for run in ("one", "two")
        for files in [(tmp_path / run / "cache").rglob("*.safetensors")]
    ]
    assert len(kept[0]) == 2 * 6 + 2
    assert set(kept[0].values()) == set(kept[1].values())


def test_one_two_and_three_processes_say_the_same_of_seven_held_out_videos(
    films: Index, runs: Any, short: Short, tmp_path: Path, train: Train
) -> None:
    entries = [
        replace(entry, split="train" if number < 3 else "val")
        for number, entry in enumerate([films.entries[0], *films.entries[-2:], *films.entries[1:8]])
    ]
    seven = replace(films, entries=tuple(entries))
    write_index(seven, tmp_path / "seven.csv")
    settings = short(batch=3, epochs=1)
    out = tmp_path / "run"
    names = ("model.safetensors", "validation.safetensors")
    said = []
    for count in (1, 2, 3):
        # The network is there after the first, but what it says of the videos is lost.
        for name in names:
            (out / name).unlink(missing_ok=True)
        codes = train(settings, out, count=count, index=tmp_path / "seven.csv")[2]
        assert codes == [0] * count
        said.append([(out / name).read_bytes() for name in names])
    assert said[0] == said[1] == said[2]


def test_one_two_and_three_processes_score_seven_videos_alike_and_each_once(
    films: Index, runs: Any, short: Short, tmp_path: Path
) -> None:
    model = runs.to_the_end(short(epochs=1), tmp_path / "run")[0].model
    (tmp_path / "broken.avi").write_bytes(b"no video")
    entries = [replace(entry, split="test") for entry in films.entries[:7]]
    entries.insert(3, replace(entries[0], path=str(tmp_path / "broken.avi")))
    write_index(replace(films, entries=tuple(entries)), tmp_path / "seven.csv")
    out = tmp_path / "scores.npz"
    words = ["test", str(model), str(tmp_path / "seven.csv"), f"--out={out}", "--snippets=2"]
    said = []
    for count in (1, 2, 3):
        printed, errors, codes = together([*words, "--threads=1"], count=count)
        # To torchrun anything but 0 is a reason to start anew.
        assert codes == ([3] if count == 1 else [0] * count)
        assert errors.count("unusable") == 1
        said.append((printed, out.read_bytes(), out.with_suffix(".json").read_bytes()))
        out.unlink()
    assert said[0] == said[1] == said[2]
    assert not list(tmp_path.glob("*.unfinished"))


@pytest.mark.parametrize("how", ["kill", "stop"])
def test_when_one_is_killed_or_hangs_the_other_ends_and_a_new_start_goes_on_bit_by_bit(
    short: Short, tmp_path: Path, train: Train, how: str
) -> None:
    settings = short(epochs=2, save_minutes=0.0)
    assert train(settings, tmp_path / "whole", count=2)[2] == [0, 0]
    _, said, codes = train(settings, tmp_path / "run", count=2, MAREY_END=f"1:4:{how}")
    assert codes == [1, -9]
    assert "same command goes on from the last save" in said
    assert not (tmp_path / "run" / "model.safetensors").exists()
    assert train(settings, tmp_path / "run", count=2)[2] == [0, 0]
    assert_same(tmp_path / "run", tmp_path / "whole")


def test_torchrun_starts_the_processes_again_and_they_end_with_the_same_bytes(
    films: Index, short: Short, tmp_path: Path, train: Train
) -> None:
    settings = short(epochs=2, save_minutes=0.0)
    assert train(settings, tmp_path / "whole", count=2)[2] == [0, 0]
    file = recipe(settings, tmp_path / "recipe.toml")
    words = ["train", str(films.root / "index.csv"), f"--out={tmp_path / 'run'}"]
    words.append(f"--recipe={file}")
    process = torchrun(words, "--max-restarts", "1", count=2, MAREY_END="1:4:kill")
    printed, said = process.communicate(timeout=900)
    assert process.returncode == 0, said
    assert printed.splitlines() == [str(tmp_path / "run" / "model.safetensors")]
    assert_same(tmp_path / "run", tmp_path / "whole")


def assert_same(ours: Path, theirs: Path) -> None:
    names = ("model", "last", "validation")
    for name in (*(f"{name}.safetensors" for name in names), "log.jsonl"):
        assert (ours / name).read_bytes() == (theirs / name).read_bytes(), name
