import json
import random
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from marey.durable import complete_file
from marey.errors import UsageError
from marey.models import TSN, build_model
from marey.settings import Optimisation
from marey.training import Progress, RunFolder, build_optimiser

PLACE = Progress(epoch=2, step=14, seen=4, loss_sum=1 / 3, best_accuracy=0.5, best_epoch=1)


class Bench:
    """A network and its optimiser, some steps on."""

    def __init__(self, steps: int = 0, optimiser: Any = "sgd") -> None:
        torch.manual_seed(0)
        model = build_model("tsn_tiny", num_classes=2)
        assert isinstance(model, TSN)
        self.model = model
        self.optimiser = build_optimiser(model, Optimisation(optimiser=optimiser))
        for _ in range(steps):
            self.step()

    def step(self) -> None:
        sum(parameter.square().sum() for parameter in self.model.parameters()).backward()
        self.optimiser.step()
        self.optimiser.zero_grad()

    def weights(self) -> dict[str, Tensor]:
        return {name: tensor.clone() for name, tensor in self.model.state_dict().items()}


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path / "run", {"seed": 0})


def resumed(folder: RunFolder) -> tuple[Bench, Progress, list[str]]:
    bench = Bench()
    progress, damaged = folder.resume(bench.model, bench.optimiser)
    return bench, progress, damaged


@pytest.mark.parametrize("optimiser", ["sgd", "adamw"])
def test_what_was_saved_comes_back_and_goes_on_alike(folder: RunFolder, optimiser: str) -> None:
    before = Bench(3, optimiser)
    folder.save(before.model, before.optimiser, PLACE)
    after = Bench(0, optimiser)
    assert folder.resume(after.model, after.optimiser) == (PLACE, [])
    before.step()
    after.step()
    for name, tensor in before.weights().items():
        assert torch.equal(tensor, after.weights()[name]), name


def test_an_empty_folder_is_a_beginning(folder: RunFolder) -> None:
    bench = Bench()
    assert folder.resume(bench.model, bench.optimiser) == (Progress(), [])


def test_the_place_is_told_to_people_too(folder: RunFolder) -> None:
    bench = Bench(1)
    folder.save(bench.model, bench.optimiser, PLACE)
    state = folder.path / "state.json"
    assert json.loads(state.read_text())["step"] == 14
    state.write_text("of another time")
    resumed(folder)
    assert json.loads(state.read_text())["step"] == 14


def save_twice(folder: RunFolder) -> Bench:
    bench = Bench(1)
    folder.save(bench.model, bench.optimiser, Progress(step=1))
    bench.step()
    folder.save(bench.model, bench.optimiser, Progress(step=2))
    return bench


def test_a_save_that_was_cut_short_between_two_names_counts(folder: RunFolder) -> None:
    save_twice(folder)
    (folder.path / "last.safetensors").replace(folder.path / "next.safetensors")
    bench, progress, damaged = resumed(folder)
    assert (progress.step, damaged) == (2, [])
    assert not (folder.path / "next.safetensors").exists()
    bench.step()
    folder.save(bench.model, bench.optimiser, Progress(step=3))
    names = sorted(path.name for path in folder.path.glob("*.safetensors"))
    assert names == ["last.safetensors", "previous.safetensors"]
    _, progress, _ = resumed(folder)
    assert progress.step == 3


def test_saving_over_what_a_killed_save_left_works(folder: RunFolder) -> None:
    save_twice(folder)
    with complete_file(folder.path / "next.safetensors") as temporary:
        temporary.touch()
    temporary.write_bytes(b"half")
    (folder.path / "next.safetensors").unlink()
    bench, _, _ = resumed(folder)
    folder.save(bench.model, bench.optimiser, Progress(step=3))
    assert not list(folder.path.glob(".*"))


def test_no_bit_can_flip_and_no_byte_be_missing_unnoticed(folder: RunFolder) -> None:
    save_twice(folder)
    last = folder.path / "last.safetensors"
    data = last.read_bytes()
    chance = random.Random(0)
    for _ in range(40):
        flipped = bytearray(data)
        flipped[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        for damaged_data in (bytes(flipped), data[: chance.randrange(len(data))]):
            last.write_bytes(damaged_data)
            _, progress, damaged = resumed(folder)
            assert (progress.step, damaged) == (1, ["last.safetensors"])


def test_with_every_save_damaged_all_are_named(folder: RunFolder) -> None:
    save_twice(folder)
    for path in folder.path.glob("*.safetensors"):
        path.write_bytes(b"")
    _, progress, damaged = resumed(folder)
    assert progress == Progress()
    assert damaged == ["last.safetensors", "previous.safetensors"]


def test_the_best_weights_come_back(folder: RunFolder) -> None:
    bench = Bench()
    before = bench.weights()
    folder.save_best(bench.model)
    bench.step()
    folder.load_best(bench.model)
    for name, tensor in before.items():
        assert torch.equal(tensor, bench.weights()[name])


def test_the_log_forgets_steps_that_are_taken_again(folder: RunFolder) -> None:
    for step in (1, 2, 3):
        folder.log(step=step, loss=1 / step)
    folder.rewind_log(2)
    lines = (folder.path / "log.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [
        {"step": 1, "loss": 1.0},
        {"step": 2, "loss": 0.5},
    ]


def test_a_line_cut_by_a_kill_is_dropped(folder: RunFolder) -> None:
    folder.log(step=1, loss=1.0)
    with (folder.path / "log.jsonl").open("a") as file:
        file.write('{"step": 2, "lo')
    folder.rewind_log(9)
    assert (folder.path / "log.jsonl").read_text() == '{"step": 1, "loss": 1.0}\n'


def test_other_settings_are_refused_by_name(tmp_path: Path) -> None:
    settings = {"seed": 0, "batch": 2, "optim": {"lr": 0.1, "cycles": 1}}
    RunFolder(tmp_path, settings)
    RunFolder(tmp_path, settings)
    with pytest.raises(UsageError) as caught:
        RunFolder(tmp_path, {"seed": 1, "batch": 2, "optim": {"lr": 0.2, "cycles": 1}})
    assert "optim.lr was 0.1, is 0.2; seed was 0, is 1. " in str(caught.value)
    assert "batch" not in str(caught.value)
    assert "cycles" not in str(caught.value)
    assert json.loads((tmp_path / "settings.json").read_text()) == settings


def test_settings_that_may_change_may_differ(tmp_path: Path) -> None:
    RunFolder(tmp_path, {"seed": 0, "workers": 0}, may_change=("workers",))
    RunFolder(tmp_path, {"seed": 0, "workers": 1}, may_change=("workers",))
    with pytest.raises(UsageError, match=r"settings: seed was 0, is 1\. "):
        RunFolder(tmp_path, {"seed": 1, "workers": 1}, may_change=("workers",))


def test_a_folder_with_results_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"dear to somebody")
    with pytest.raises(UsageError, match=r"model\.safetensors, which a run would overwrite"):
        RunFolder(tmp_path, {"seed": 0})
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]


@pytest.mark.parametrize("text", ["", "{", "[1]", "\xff"])
def test_settings_that_are_none_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "settings.json").write_text(text, encoding="latin-1")
    with pytest.raises(UsageError, match=r"settings\.json is damaged"):
        RunFolder(tmp_path, {"seed": 0})
