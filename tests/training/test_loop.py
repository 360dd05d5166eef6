import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from marey.data import Sample
from marey.errors import MareyError, UsageError, VideoError
from marey.index import Entry, Index
from marey.models import (
    OFF,
    TSN,
    build_model,
    load_imagenet,
    load_model,
    load_tensors,
    tsn_efficientnet_lite0,
)
from marey.settings import Optimisation, Training
from marey.training import fit

Short = Callable[..., Training]


def weights_of(out: Path) -> dict[str, Tensor]:
    tensors, _ = load_tensors(out / "last.safetensors")
    return {
        name.removeprefix("model."): tensor
        for name, tensor in tensors.items()
        if name.startswith("model.")
    }


@pytest.fixture
def tsn(runs: Any, short: Short, tmp_path: Path) -> Path:
    outcome, _ = runs.to_the_end(short(epochs=1), tmp_path / "tsn")
    path = outcome.model
    assert isinstance(path, Path)
    return path


def test_a_run_leaves_a_network_its_settings_and_its_log(
    runs: Any, short: Short, tmp_path: Path, log_of: Callable[[Path], list[dict[str, Any]]]
) -> None:
    outcome, told = runs.to_the_end(short(), tmp_path / "run")
    model = load_model(outcome.model)
    assert model.classes == ("left", "right")
    assert model.recipe["optim"]["lr"] == 0.01
    assert model.recipe["best_epoch"] == outcome.best_epoch
    assert set(model.fusion) == {"tsn"}
    settings = json.loads((tmp_path / "run" / "settings.json").read_text())
    assert settings["batch"] == 2
    assert settings["index"] == runs.films.fingerprint
    assert told.steps == 6
    log = log_of(tmp_path / "run")
    assert [line["step"] for line in log if "loss" in line] == [1, 2, 3, 4, 5, 6]
    assert [line["step"] for line in log if "validation_accuracy" in line] == [3, 6]
    assert list((tmp_path / "run" / "tensorboard").glob("events.out.tfevents.*"))
    assert not list((tmp_path / "run").rglob("*partial*"))


def test_parts_of_a_batch_add_up_to_its_gradient(
    runs: Any, short: Short, tmp_path: Path, log_of: Callable[[Path], list[dict[str, Any]]]
) -> None:
    # With the first stage frozen no batch normalization depends on what is looked at together.
    same = {"epochs": 1, "batch": 6, "dropout": 0.0, "frozen_stages": 1}
    same |= {"model": "tsn_efficientnet_lite0"}
    runs.to_the_end(short(at_once=6, **same), tmp_path / "whole")
    runs.to_the_end(short(at_once=4, **same), tmp_path / "parts")
    whole, parts = log_of(tmp_path / "whole")[0], log_of(tmp_path / "parts")[0]
    assert parts["loss"] == pytest.approx(whole["loss"], rel=1e-5)
    assert parts["gradient_norm"] == pytest.approx(whole["gradient_norm"], rel=1e-4)
    before = tsn_efficientnet_lite0(num_classes=2)
    load_imagenet(before.backbone)
    after = weights_of(tmp_path / "whole")
    name = "backbone.head.conv.weight"
    assert (after[name] != before.state_dict()[name]).any()
    assert_close(weights_of(tmp_path / "parts"), after, rtol=1e-4, atol=1e-6)


def test_the_gradient_is_clipped(runs: Any, short: Short, tmp_path: Path) -> None:
    # One step of plain descent at rate 1 is as long as the norm that is left of the gradient.
    optim = Optimisation(lr=1.0, clip_norm=1e-3, weight_decay=0.0)
    out = tmp_path / "run"
    runs.to_the_end(short(epochs=1, batch=6, seed=3, optim=optim), out)
    torch.manual_seed(3)
    before = build_model("tsn_tiny", num_classes=2).head
    after = weights_of(out)
    # Biases learn twice as fast.
    moved = torch.cat(
        [
            (after["head.weight"] - before.weight.detach()).flatten(),
            (after["head.bias"] - before.bias.detach()) / 2,
        ]
    )
    assert float(moved.norm()) == pytest.approx(1e-3, rel=1e-2)


def test_partial_batch_norm_keeps_all_statistics_but_the_first(
    runs: Any, short: Short, tmp_path: Path
) -> None:
    settings = short(model="tsn_efficientnet_lite0", epochs=1, batch=6, frozen_stages=0)
    runs.to_the_end(settings, tmp_path / "run")
    before = tsn_efficientnet_lite0(num_classes=2)
    load_imagenet(before.backbone)
    after = weights_of(tmp_path / "run")
    moved = {
        name
        for name, tensor in before.state_dict().items()
        if "running" in name and not torch.equal(tensor, after[name])
    }
    assert moved == {"backbone.stem.bn.running_mean", "backbone.stem.bn.running_var"}


@pytest.mark.parametrize("cached_views", [0, 1])
def test_off_learns_all_three_levels_and_leaves_its_tsn_alone(
    runs: Any, short: Short, tmp_path: Path, tsn: Path, cached_views: int
) -> None:
    settings = short(
        model="off_tiny",
        init=tsn,
        snippets=3,
        epochs=1,
        batch=3,
        frozen_stages=0,
        cached_views=cached_views,
    )
    outcome, _ = runs.to_the_end(settings, tmp_path / "off")
    before, after = load_model(tsn), load_model(outcome.model)
    assert isinstance(before, TSN)
    for name, tensor in before.state_dict().items():
        assert torch.equal(tensor, after.state_dict()[f"tsn.{name}"]), name
    assert set(outcome.validation.heads) == {"tsn", "off7", "off14"}
    # All classifiers begin without a bias.
    biases = {
        name: tensor
        for name, tensor in after.state_dict().items()
        if name.startswith("branch.") and name.endswith("head.bias")
    }
    assert len(biases) == 3
    assert all((bias != 0).any() for bias in biases.values())


@pytest.mark.parametrize("cached_views", [0, 2])
def test_off_that_pools_learns_its_classifiers_alone_on_one_scale(
    runs: Any, short: Short, tmp_path: Path, tsn: Path, cached_views: int
) -> None:
    settings = short(model="off_tiny_pooled", init=tsn, snippets=3, frozen_stages=0)
    settings = replace(settings, cached_views=cached_views)
    outcome, _ = runs.to_the_end(settings, tmp_path / "off")
    assert set(outcome.validation.heads) == {"tsn", "off14", "off7_energy", "off7_direction"}
    learnt = load_model(outcome.model)
    assert isinstance(learnt, OFF)
    heads = ("words", "energy", "direction")
    names = {f"{head}.{part}" for head in heads for part in ("weight", "bias")}
    assert {name for name, _ in learnt.branch.named_parameters()} == names
    assert all((getattr(learnt.branch, head).bias != 0).any() for head in heads)
    assert (learnt.branch.centre != 0).any()
    assert (learnt.branch.spread != 1).all()
    assert (learnt.branch.codebook.means != 0).any()


@pytest.mark.parametrize("cached_views", [0, 1])
def test_layers_of_off_begin_on_one_scale_where_that_is_asked_for(
    runs: Any, short: Short, tmp_path: Path, tsn: Path, cached_views: int
) -> None:
    still = Optimisation(lr=1e-12)
    drawn = short(model="off_tiny", init=tsn, snippets=3, epochs=1, optim=still)
    drawn = replace(drawn, cached_views=cached_views)
    runs.to_the_end(drawn, tmp_path / "drawn")
    runs.to_the_end(replace(drawn, standardise=True), tmp_path / "scaled")
    before, after = weights_of(tmp_path / "drawn"), weights_of(tmp_path / "scaled")
    name = "branch.level14.blocks.0.conv2.weight"
    ratio = after[name] / before[name]
    # One factor for each kernel, and another for the next.
    assert_close(ratio, ratio[:, :1, :1, :1].expand_as(ratio), rtol=1e-3, atol=0.0)
    assert len({round(float(kernel), 3) for kernel in ratio[:, 0, 0, 0]}) > 1


def test_held_out_groups_are_not_learnt_from_and_tests_are_not_read(
    runs: Any, short: Short, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import marey.data._dataset as learning
    import marey.training._validation as validating

    learnt, validated = set(), set()
    clip, look = learning.SnippetDataset._clip, validating.centre_snippets

    def learn(dataset: Any, entry: Entry, rng: Any) -> Any:
        learnt.add(entry.path)
        return clip(dataset, entry, rng)

    def validate(network: Any, held_out: Any, entry: Entry, source: Any) -> Any:
        validated.add(entry.path)
        return look(network, held_out, entry, source)

    monkeypatch.setattr(learning.SnippetDataset, "_clip", learn)
    monkeypatch.setattr(validating, "centre_snippets", validate)
    runs.to_the_end(short(epochs=1), tmp_path / "run")
    training = {entry.path for entry in runs.films.entries if entry.split == "train"}
    assert learnt | validated == training
    assert not learnt & validated
    assert len(validated) == 2


def test_the_best_pass_by_held_out_videos_is_kept(
    runs: Any, short: Short, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import marey.training._loop as loop

    real = loop.validate
    accuracies = iter([0.4, 0.9, 0.5, 0.9])
    kept = []

    def validate(*arguments: Any) -> Any:
        seen = real(*arguments)
        accuracy = next(accuracies, None)
        if accuracy is None:
            return seen
        kept.append(seen.heads["tsn"])
        return replace(seen, accuracy=accuracy, loss=1.0)

    monkeypatch.setattr(loop, "validate", validate)
    outcome, _ = runs.to_the_end(short(epochs=4), tmp_path / "run")
    assert outcome.best_epoch == 2
    assert np.array_equal(outcome.validation.heads["tsn"], kept[1])
    assert not np.array_equal(kept[1], kept[3])


def test_validation_comes_when_it_is_due_and_at_the_end(
    runs: Any, short: Short, tmp_path: Path, log_of: Callable[[Path], list[dict[str, Any]]]
) -> None:
    runs.to_the_end(short(epochs=3, batch=6, validate_every=2), tmp_path / "run")
    log = log_of(tmp_path / "run")
    assert [line["step"] for line in log if "validation_loss" in line] == [2, 3]


def test_a_video_whose_loss_is_not_a_number_stops_the_run_and_is_named(
    runs: Any, short: Short, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import marey.training._losses as losses

    settings = short(save_minutes=0.0)
    out = tmp_path / "run"
    runs.stopped(settings, out, at=5)
    saved = (out / "last.safetensors").read_bytes()
    real = losses.floats_of

    def broken(batch: Sample, *rest: Any, **options: Any) -> Tensor:
        clips = real(batch, *rest, **options)
        clips[torch.as_tensor(batch.label) == runs.films.classes.index("left")] /= 0
        return clips

    monkeypatch.setattr(losses, "floats_of", broken)
    with pytest.raises(MareyError, match=r"loss of left\d\.avi is not finite") as caught:
        runs.to_the_end(settings, out)
    assert caught.value.exit_code == 1
    assert json.loads((out / "not_finite.json").read_text())[0].startswith("left")
    assert (out / "last.safetensors").read_bytes() == saved
    monkeypatch.undo()


def test_a_gradient_that_is_not_a_number_stops_the_run_too(
    runs: Any, short: Short, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import marey.training._run as run

    real = run.build_network

    def build(settings: Training, classes: tuple[str, ...]) -> TSN:
        network = real(settings, classes)
        assert isinstance(network, TSN)
        network.head.weight.register_hook(lambda gradient: gradient * torch.inf)
        return network

    monkeypatch.setattr(run, "build_network", build)
    with pytest.raises(MareyError, match=r"gradient of .*avi, .*avi is not finite"):
        runs.to_the_end(short(), tmp_path / "run")
    assert len(json.loads((tmp_path / "run" / "not_finite.json").read_text())) == 2


@pytest.mark.parametrize("workers", [0, 1])
def test_a_video_that_cannot_be_opened_is_named_in_one_line(
    films: Index, short: Short, tmp_path: Path, workers: int
) -> None:
    (tmp_path / "broken.avi").write_bytes(b"not a video")
    entries = [Entry(str(films.file(entry)), entry.label, "val") for entry in films.entries[:1]]
    entries.append(Entry("broken.avi", "left", "train"))
    index = Index(tmp_path, tuple(entries), films.classes)
    with pytest.raises(VideoError, match=r"broken\.avi") as caught:
        fit(short(workers=workers), index, tmp_path / "run", report=lambda *_, **__: None)
    assert "\n" not in str(caught.value)


def test_missing_videos_are_named_together_before_anything_is_written(
    films: Index, short: Short, tmp_path: Path
) -> None:
    entries = [Entry(f"gone{n}.avi", "left", "train", f"{n}") for n in range(3)]
    index = Index(tmp_path, tuple(entries), films.classes)
    with pytest.raises(UsageError, match="3 of 3 videos are missing") as caught:
        fit(short(), index, tmp_path / "run", report=lambda *_, **__: None)
    assert all(entry.path in str(caught.value) for entry in entries)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"modality": "flow"}, "got neither"),
        ({"device": "gpu"}, "no device is called 'gpu'"),
        ({"frozen_stages": 0, "model": "tsn_efficientnet"}, "did you mean tsn_efficientnet_lite0"),
    ],
)
def test_what_cannot_be_trained_is_refused(
    runs: Any, short: Short, tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        runs.to_the_end(short(**change), tmp_path / "run")


def test_a_start_that_does_not_fit_is_refused(
    runs: Any, short: Short, tmp_path: Path, tsn: Path, films: Index
) -> None:
    with pytest.raises(UsageError, match="is for rgb, but the run is for rgbdiff"):
        runs.to_the_end(
            short(init=tsn, model="off_tiny", modality="rgbdiff", snippets=2), tmp_path / "run"
        )
    with pytest.raises(UsageError, match="has another backbone"):
        runs.to_the_end(short(init=tsn, model="tsn_efficientnet_lite0"), tmp_path / "run")
    names = {"left": "left", "right": "up"}
    entries = [
        Entry(str(films.file(entry)), names[entry.label], entry.split, entry.group)
        for entry in films.entries
    ]
    other = Index(films.root, tuple(entries), ("left", "up"))
    with pytest.raises(UsageError, match="'right' there, 'up' here"):
        fit(short(init=tsn), other, tmp_path / "run", report=lambda *_, **__: None)


def test_the_number_of_threads_is_put_back(runs: Any, short: Short, tmp_path: Path) -> None:
    torch.set_num_threads(2)
    runs.stopped(short(), tmp_path / "run", at=1)
    assert torch.get_num_threads() == 2
